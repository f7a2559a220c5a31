import { Worker } from 'node:worker_threads'
import type { Answer, Request } from './messages.js'

/** Takes the answers to one request. */
export interface Listener {
  answered(answer: Answer): void
  /** The worker is gone. */
  lost(error: Error): void
}

/** The thread that watches and hashes: started at the first request, kept for the rest, and no reason for Node to stay. */
export class WorkerLink {
  private worker: Worker | null = null
  private readonly listeners = new Map<number, Listener>()
  private last = 0

  /** Sends a request and hears its answers until it is closed. */
  open(request: (id: number) => Request, listener: Listener): number {
    const id = (this.last += 1)
    this.listeners.set(id, listener)
    this.worker ??= this.start()
    this.worker.ref()
    this.worker.postMessage(request(id), [])
    return id
  }

  /** Hears no more of a request; `cancel` also ends it over there. */
  close(id: number, cancel: boolean): void {
    if (!this.listeners.delete(id)) return
    if (cancel) this.worker?.postMessage({ type: 'cancel', id } satisfies Request)
    if (this.listeners.size === 0) this.worker?.unref()
  }

  private start(): Worker {
    const worker = startWorker()
    worker.on('message', (answer: Answer) => this.listeners.get(answer.id)?.answered(answer))
    worker.on('error', (error) => this.end(worker, error instanceof Error ? error : new Error(String(error))))
    worker.on('exit', (code) => this.end(worker, new Error(`the watching thread ended (${String(code)})`)))
    return worker
  }

  private end(worker: Worker, error: Error): void {
    // A worker that failed also exits, when another one may be at work already.
    if (this.worker !== worker) return
    this.worker = null
    const listeners = [...this.listeners.values()]
    this.listeners.clear()
    for (const listener of listeners) listener.lost(error)
  }
}

/** Keeps the second thread's memory small: it holds many small things for long, and makes little garbage. */
const LIMITS = { maxYoungGenerationSizeMb: 4 }

/** In the bundle the worker is a file beside this one; from source Node has to find `.ts` where an import says `.js`. */
function startWorker(): Worker {
  if (!import.meta.url.endsWith('.ts'))
    return new Worker(new URL('watch-worker.js', import.meta.url), { execArgv: [], resourceLimits: LIMITS })
  return new Worker(new URL('worker.ts', import.meta.url), {
    execArgv: ['--import', `data:text/javascript,${encodeURIComponent(SOURCE_LOADER)}`],
    resourceLimits: LIMITS,
  })
}

const SOURCE_LOADER = `
  import { registerHooks } from 'node:module'
  registerHooks({
    resolve: (name, context, next) => {
      const isSource = name.startsWith('.') && name.endsWith('.js') && context.parentURL.endsWith('.ts')
      return next(isSource ? name.slice(0, -2) + 'ts' : name, context)
    },
  })`
