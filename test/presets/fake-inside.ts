import { DevstackError } from '../../src/core/error.js'
import type { Instance, Service } from '../../src/core/project.js'
import type {
  AttachContext,
  Delivery,
  InsideProcess,
  InsideRequest,
  TakeUpResult,
} from '../../src/orchestrator/ports.js'

/** A process in a container, played by the test. */
export class FakeProcess implements InsideProcess {
  readonly written: string[] = []
  closed = false
  readonly ended: Promise<{ exitCode: number | null; stderr: string }>
  readonly lines: AsyncIterable<string>
  /** Called with each line that was written to the process. */
  onLine: (message: Readonly<Record<string, unknown>>) => void = () => undefined
  private readonly end = Promise.withResolvers<{ exitCode: number | null; stderr: string }>()
  private readonly queue: string[] = []
  private over = false
  private wake = Promise.withResolvers<void>()

  constructor() {
    this.ended = this.end.promise
    this.lines = this.read()
  }

  say(message: unknown): void {
    this.queue.push(typeof message === 'string' ? message : JSON.stringify(message))
    this.wake.resolve()
  }

  finish(exitCode: number | null = 0, stderr = ''): void {
    this.over = true
    this.end.resolve({ exitCode, stderr })
    this.wake.resolve()
  }

  write(line: string): void {
    this.written.push(line)
    this.onLine(JSON.parse(line) as Readonly<Record<string, unknown>>)
  }

  close(): void {
    this.closed = true
    this.finish(null)
  }

  private async *read(): AsyncGenerator<string> {
    for (;;) {
      const line = this.queue.shift()
      if (line !== undefined) yield line
      else if (this.over) return
      else {
        await this.wake.promise
        this.wake = Promise.withResolvers()
      }
    }
  }
}

/** The inside of one container, as an Engine shows it to a preset. */
export class FakeInside {
  readonly opened: InsideRequest[] = []
  readonly ran: (readonly string[])[] = []
  readonly changes: TakeUpResult[] = []
  /** Decides what a process that is opened does. */
  onOpen: (process: FakeProcess, argv: readonly string[]) => void = () => undefined
  /** Answers a command with its exit code and lines. */
  onRun: (argv: readonly string[]) => { readonly exitCode: number; readonly lines: readonly string[] } =
    () => ({
      exitCode: 127,
      lines: [],
    })
  service: Service = SERVICE

  context(): AttachContext {
    return {
      engine: {
        open: (_instance, request) => {
          this.opened.push(request)
          const process = new FakeProcess()
          this.onOpen(process, request.argv)
          return Promise.resolve(process)
        },
        run: (_instance, request, output) => {
          this.ran.push(request.argv)
          const { exitCode, lines } = this.onRun(request.argv)
          for (const line of lines) output(line)
          return Promise.resolve(exitCode)
        },
        deliver: (): Promise<Delivery> =>
          Promise.reject(new DevstackError('DELIVERY_FAILED', 'a preset delivers nothing here')),
      },
      service: this.service,
      instance: INSTANCE,
      changed: (result) => this.changes.push(result),
    }
  }
}

const SERVICE: Service = {
  name: 'api',
  image: 'api',
  build: null,
  dependsOn: [],
  hasHealthCheck: false,
  oneShot: false,
  ports: [],
  watch: [],
  binds: [],
  preset: 'flask',
  profiles: [],
  restarts: false,
  replicas: 1,
  configHash: '',
  at: null,
}

const INSTANCE: Instance = {
  id: '1',
  service: 'api',
  name: 'api-1',
  state: 'running',
  health: 'none',
  exitCode: null,
  oomKilled: false,
  restarts: 0,
  startedAt: null,
  configHash: '',
  imageId: '',
  wantedImageId: null,
  buildHash: null,
}

export const never = new AbortController().signal

export function files(...written: readonly string[]): {
  written: readonly string[]
  deleted: readonly string[]
} {
  return { written, deleted: [] }
}
