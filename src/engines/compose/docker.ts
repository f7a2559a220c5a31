import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type Dockerode from 'dockerode'
import { DevstackError } from '../../core/error.js'

/** The engine's API at one endpoint. */
export interface Docker {
  readonly endpoint: string
  /** One reading call; the answer is JSON. Throws DevstackError where the engine does not answer. */
  get<T>(path: string, query: Query, signal: AbortSignal): Promise<T>
  /** The client library, loaded at the first use: it costs 80 ms, which a run with nothing to do does not pay. */
  client(): Promise<Dockerode>
  /** Translates what the client library throws. */
  explain(error: unknown, doing: string): Error
}

type Query = Readonly<Record<string, string | number | boolean | object>>

/** The least engine that knows `start_interval`: 25.0. */
const LEAST_API = 1.44

/** Opens nothing yet: the first call does. */
export function createDocker(endpoint: string): Docker {
  const state = { answered: false }
  let client: Promise<Dockerode> | null = null
  const docker: Docker = {
    endpoint,
    client: () => (client ??= loadClient(endpoint)),
    explain: (error, doing) => explainDockerError(error, doing, endpoint, state.answered),
    async get<T>(path: string, query: Query, signal: AbortSignal): Promise<T> {
      const target = path + formatQuery(query)
      try {
        const answer = endpoint.startsWith('unix://')
          ? await readSocket(endpoint.slice('unix://'.length), target, signal)
          : await readThroughClient(await docker.client(), target, signal)
        checkVersion(answer.headers)
        state.answered = true
        return answer.body as T
      } catch (error) {
        signal.throwIfAborted()
        throw docker.explain(error, `read ${path}`)
      }
    },
  }
  return docker
}

async function loadClient(endpoint: string): Promise<Dockerode> {
  const { default: Client } = await import('dockerode')
  if (endpoint.startsWith('unix://')) {
    // `host: undefined` keeps the library from taking another engine out of DOCKER_HOST.
    const options = { socketPath: endpoint.slice('unix://'.length), host: undefined }
    return new Client(options)
  }
  if (endpoint.startsWith('npipe://')) return new Client({ socketPath: endpoint.slice('npipe://'.length) })
  // Everything else (TLS files, ssh) the library reads from the same environment that named the endpoint.
  return new Client()
}

interface Answer {
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

async function readSocket(socketPath: string, path: string, signal: AbortSignal): Promise<Answer> {
  try {
    return await readOnce(socketPath, path, signal)
  } catch (error) {
    // A connection that was kept open from an earlier call may have died with an engine that restarted.
    if ((error as { reused?: boolean }).reused !== true) throw error
    return await readOnce(socketPath, path, signal)
  }
}

function readOnce(socketPath: string, path: string, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, signal, headers: { Host: 'docker' } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        const status = response.statusCode ?? 0
        try {
          const body: unknown = JSON.parse(text)
          if (status < 300) resolve({ headers: response.headers, body })
          else reject(statusError(status, (body as { message?: string }).message ?? text))
        } catch {
          reject(statusError(status, text))
        }
      })
    })
    sent.on('error', (error) => reject(Object.assign(error, { reused: sent.reusedSocket })))
    sent.end()
  })
}

function statusError(statusCode: number, message: string): Error {
  return Object.assign(new Error(message), { statusCode })
}

function readThroughClient(client: Dockerode, path: string, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const dial = {
      // The client cuts the last character of a path that has a query.
      path: path.includes('?') ? `${path}&` : path,
      method: 'GET',
      abortSignal: signal,
      statusCodes: { 200: true, 404: 'not found', 500: 'engine error' },
    }
    const modem = client.modem as {
      dial(options: object, done: (error: unknown, body: unknown) => void): void
    }
    modem.dial(dial, (error, body) => {
      if (error === null || error === undefined) resolve({ headers: {}, body })
      else reject(error)
    })
  })
}

function checkVersion(headers: IncomingHttpHeaders): void {
  const version = headers['api-version']
  if (typeof version !== 'string' || Number.parseFloat(version) >= LEAST_API) return
  throw new DevstackError('ENGINE_TOO_OLD', 'the Docker engine is too old', {
    cause: `it speaks API ${version}; devstack needs ${String(LEAST_API)} (Docker 25)`,
    hint: 'devstack doctor',
  })
}

function formatQuery(query: Query): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    params.set(key, typeof value === 'object' ? JSON.stringify(value) : String(value))
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

const UNREACHABLE: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'EACCES', 'EPERM', 'ENOTFOUND'])
const BROKEN: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ETIMEDOUT',
])

/** What an engine's failure means to the user. */
function explainDockerError(error: unknown, doing: string, endpoint: string, answered: boolean): Error {
  if (!(error instanceof Error) || error instanceof DevstackError) return error as Error
  const { code, statusCode } = error as { code?: string; statusCode?: number }
  if (code !== undefined && (UNREACHABLE.has(code) || BROKEN.has(code))) {
    return unreachable(code, endpoint, answered)
  }
  if (statusCode === undefined) return error
  const text = engineMessage(error)
  const known =
    explainEngineText(text) ?? new DevstackError('OPERATION_FAILED', `could not ${doing}`, { cause: text })
  return Object.assign(known, { statusCode })
}

function unreachable(code: string, endpoint: string, answered: boolean): DevstackError {
  if (code === 'EACCES' || code === 'EPERM') {
    return new DevstackError('ENGINE_NOT_RUNNING', 'the Docker engine may not be used by this user', {
      cause: `no permission on ${endpoint}`,
      hint: 'add yourself to the docker group and log in again: sudo usermod -aG docker "$USER"',
    })
  }
  return answered
    ? new DevstackError('ENGINE_GONE', 'the Docker engine went away', {
        cause: `${endpoint} does not answer any more (${code})`,
        hint: 'start it again, then: devstack up',
      })
    : new DevstackError('ENGINE_NOT_RUNNING', 'the Docker engine does not run', {
        cause: `nothing answers at ${endpoint} (${code})`,
        hint: 'devstack doctor --fix',
      })
}

/** The failures that engine and Compose report only as text. */
export function explainEngineText(text: string): DevstackError | null {
  if (/no space left on device|disk quota exceeded/i.test(text)) {
    return new DevstackError('DISK_FULL', 'the disk is full', {
      cause: text,
      hint: 'docker system df shows what takes the room; devstack images --prune frees superseded images',
    })
  }
  const port =
    /(?:Bind for \S*?:(\d+) failed: port is already allocated|listen tcp\S* \S*?:(\d+): bind: address already in use)/.exec(
      text,
    )
  if (port !== null) {
    return new DevstackError('PORT_TAKEN', `port ${port[1] ?? port[2] ?? ''} is taken`, {
      cause: text,
      hint: 'end what holds it, or: devstack up --free-ports',
    })
  }
  return null
}

function engineMessage(error: Error): string {
  const { json } = error as { json?: { message?: string } | null }
  return (json?.message ?? error.message).replace(/^\(HTTP code \d+\) [^-]*- /, '').trim()
}

/** True where the engine says that it does not know the thing. */
export function isNotFound(error: unknown): boolean {
  return (error as { statusCode?: number }).statusCode === 404
}

/** The label filter of the engine's list and event calls. */
export function labelFilter(...labels: readonly string[]): { readonly label: readonly string[] } {
  return { label: labels }
}

/** True where the engine did not answer, or broke off. */
export function isUnreachable(error: unknown): boolean {
  const { code } = error as { code?: string }
  return code === 'ENGINE_GONE' || code === 'ENGINE_NOT_RUNNING'
}
