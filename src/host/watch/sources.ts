import { DevstackError } from '../../core/error.js'
import type { Service } from '../../core/project.js'
import type { SourceBatch, Sources, SourceScan } from '../../orchestrator/ports.js'
import type { Answer, Noted, Request } from './messages.js'
import { PendingBatches } from './pending-batches.js'
import { scanHere } from './scan-here.js'
import { watchedPart } from './rules.js'
import { View } from './view.js'
import { replaceFile } from './replace.js'
import { WorkerLink } from './worker-link.js'

/** The host's files: watched and hashed in a thread of its own, a few small files at once in this one. */
export function createSources(): Sources {
  const link = new WorkerLink()
  const views = new WeakMap<Service, View>()
  const noted = new WeakMap<Service, Map<string, Noted['stamp']>>()
  const viewOf = (service: Service): View => {
    const known = views.get(service) ?? new View(watchedPart(service))
    views.set(service, known)
    known.refresh()
    return known
  }
  return {
    replace: replaceFile,
    watch: (services, warn, signal) => watch(link, services, warn, signal),
    async scan(service, paths, signal) {
      signal.throwIfAborted()
      const here = paths === null ? null : scanHere(viewOf(service).rules, paths)
      if (here === null) return await scan(link, service, paths, signal)
      const stamps = noted.get(service) ?? new Map<string, Noted['stamp']>()
      for (const { path, stamp } of here.noted) stamps.set(path, stamp)
      noted.set(service, stamps)
      return here.scan
    },
    async recheck(service, signal) {
      signal.throwIfAborted()
      const stamps = [...(noted.get(service) ?? [])].map(([path, stamp]): Noted => ({ path, stamp }))
      noted.delete(service)
      const request = (id: number): Request => ({
        type: 'recheck',
        id,
        service: watchedPart(service),
        noted: stamps,
      })
      return await ask(link, request, signal, (answer) => (answer.type === 'rechecked' ? answer.paths : null))
    },
  }
}

async function* watch(
  link: WorkerLink,
  services: readonly Service[],
  warn: (message: string, hint: string | null) => void,
  signal: AbortSignal,
): AsyncGenerator<SourceBatch> {
  const batches = new PendingBatches()
  const id = link.open((id) => ({ type: 'watch', id, services: services.map(watchedPart) }), {
    answered: (answer) => {
      if (answer.type === 'watching') batches.begin()
      if (answer.type === 'batch') batches.add(answer)
      if (answer.type === 'warning') warn(answer.message, answer.hint)
      if (answer.type === 'failed') batches.fail(workerError(answer.error))
    },
    lost: (error) => batches.fail(workerError(error)),
  })
  try {
    for (let batch = await batches.next(signal); batch !== null; batch = await batches.next(signal))
      yield batch
  } finally {
    link.close(id, true)
  }
}

async function scan(
  link: WorkerLink,
  service: Service,
  paths: readonly string[] | null,
  signal: AbortSignal,
): Promise<SourceScan> {
  const parts: SourceScan[] = []
  const request = (id: number): Request => ({ type: 'scan', id, service: watchedPart(service), paths })
  return await ask(link, request, signal, (answer) => {
    if (answer.type === 'part') parts.push(answer.scan)
    return answer.type === 'scanned' ? joinScans(parts) : null
  })
}

function joinScans(parts: readonly SourceScan[]): SourceScan {
  return {
    files: parts.flatMap((part) => part.files),
    gone: parts.flatMap((part) => part.gone),
    refused: parts.flatMap((part) => part.refused),
  }
}

/** Sends a request and waits for the answer that `read` makes something of. */
async function ask<T>(
  link: WorkerLink,
  request: (id: number) => Request,
  signal: AbortSignal,
  read: (answer: Answer) => T | null,
): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const aborted = (): void => {
      link.close(id, true)
      reject(signal.reason as Error)
    }
    const done = (): void => {
      signal.removeEventListener('abort', aborted)
      link.close(id, false)
    }
    const fail = (error: unknown): void => {
      done()
      reject(workerError(error))
    }
    const id = link.open(request, {
      answered: (answer) => {
        if (answer.type === 'failed') return fail(answer.error)
        const result = read(answer)
        if (result === null) return
        done()
        resolve(result)
      },
      lost: fail,
    })
    signal.addEventListener('abort', aborted, { once: true })
  })
}

function workerError(error: unknown): DevstackError {
  return new DevstackError('OPERATION_FAILED', 'the project’s files cannot be watched', {
    cause: error instanceof Error ? error.message : String(error),
    hint: 'devstack up',
  })
}
