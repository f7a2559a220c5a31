import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { lock } from 'proper-lockfile'

export const RELOADER = fileURLToPath(new URL('../../../src/presets/flask/reloader/', import.meta.url))

/** What the reloader says; the fields depend on the type. */
export interface Said {
  readonly id?: number
  readonly type: string
  readonly what?: string
  readonly state?: string
  readonly server?: string
  readonly reason?: string
  readonly app?: string
  readonly generation?: number
  readonly serving?: boolean
  readonly workers?: readonly number[]
  readonly threads?: number
  readonly addresses?: readonly string[]
  readonly warm?: number
  readonly loading?: boolean
  readonly debugger?: { readonly pid: number; readonly by: string } | null
  readonly ms?: { readonly total: number }
  readonly message?: string
  readonly error?: {
    readonly message: string
    readonly file: string | null
    readonly line: number | null
    readonly traceback: readonly string[]
  } | null
}

export interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** A virtual environment with these packages, made once on a machine. Returns its folder. */
export async function environment(packages: readonly string[], python = 'python3'): Promise<string> {
  const name = createHash('sha256')
    .update(`${python}\n${packages.join('\n')}`)
    .digest('hex')
    .slice(0, 16)
  const folder = join(homedir(), '.cache', 'devstack', 'test-venvs', name)
  const done = join(folder, 'complete')
  await mkdir(folder, { recursive: true })
  const release = await lock(folder, {
    stale: 600_000,
    retries: { retries: 600, minTimeout: 500, factor: 1 },
  })
  try {
    if ((await readFile(done, 'utf8').catch(() => null)) === null) {
      await execa(python, ['-m', 'venv', '--clear', folder])
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]
      await execa(join(folder, 'bin', 'python'), pip)
      await writeFile(done, packages.join('\n'))
    }
  } finally {
    // The lock is beside the folder, so clearing it did no harm.
    await release()
  }
  return folder
}

/** The packages that most tests need. */
export const FLASK = ['Flask==3.1.3', 'gunicorn==23.0.0', 'waitress==3.0.2'] as const

/** A server under the reloader, in a folder of its own. */
export class Served implements AsyncDisposable {
  readonly folder: string
  readonly output: string[] = []
  readonly process: ChildProcess
  #control: Control | null = null

  private constructor(folder: string, process: ChildProcess) {
    this.folder = folder
    this.process = process
    for (const stream of [process.stdout, process.stderr]) {
      stream?.on('data', (data: Buffer) => this.output.push(data.toString()))
    }
  }

  /** `words` may use `{folder}`; `files` are written first. */
  static async start(
    words: readonly string[],
    files: Readonly<Record<string, string>>,
    env: Readonly<Record<string, string>> = {},
    given?: string,
  ): Promise<Served> {
    const folder = given ?? (await mkdtemp(join(tmpdir(), 'devstack-reloader-')))
    await Served.write(folder, files)
    const command = words.map((word) => word.replaceAll('{folder}', folder))
    const started = spawn('python3', ['-B', join(RELOADER, 'run.py'), '--', ...command], {
      cwd: folder,
      env: { ...process.env, ...env, DEVSTACK_CONTROL_FOLDER: join(folder, '.control') },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    return new Served(folder, started)
  }

  static async write(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(files)) await put(join(folder, name), text)
  }

  /** The control channel, through ctl.py as devstack comes to it. */
  async control(): Promise<Control> {
    this.#control ??= Control.open(join(this.folder, '.control'))
    await this.#control.hello
    return this.#control
  }

  /** Waits until third-party modules are kept warm: until then a worker may be replaced by itself. */
  async settled(): Promise<Control> {
    const control = await this.control()
    while (!this.output.join('').includes('kept warm')) await pause()
    for (;;) {
      const status = await control.ask({ type: 'status' })
      if ((status.warm ?? 0) > 0 && status.state === 'serving' && status.loading === false) return control
      await pause()
    }
  }

  async write(name: string, text: string): Promise<void> {
    await put(join(this.folder, name), text)
  }

  /** Writes a file and tells of it. */
  async save(name: string, text: string): Promise<Said> {
    await this.write(name, text)
    return (await this.control()).reload([join(this.folder, name)])
  }

  log(): string {
    return this.output.join('')
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const ended = once(this.process, 'exit')
      this.process.kill(signal)
      await ended
    }
    return this.process.exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#control?.close()
    await this.end('SIGKILL')
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Lines to and from the reloader. */
export class Control {
  readonly hello: Promise<Said>
  readonly others: Said[] = []
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, (said: Said) => void>()
  #count = 0

  private constructor(process: ChildProcess) {
    this.#process = process
    let greet: (said: Said) => void = () => {}
    this.hello = new Promise((resolve) => (greet = resolve))
    if (process.stdout === null) throw new Error('no pipe')
    createInterface(process.stdout).on('line', (line) => {
      const said = JSON.parse(line) as Said
      if (said.type === 'hello') greet(said)
      else if (said.id === undefined) this.others.push(said)
      else this.#waiting.get(said.id)?.(said)
    })
  }

  static open(folder: string): Control {
    const words = ['-B', '-S', '-E', join(RELOADER, 'ctl.py'), '--wait', '30']
    const env = { ...process.env, DEVSTACK_CONTROL_FOLDER: folder }
    return new Control(spawn('python3', words, { env, stdio: ['pipe', 'pipe', 'inherit'] }))
  }

  /** By a command that leads to ctl.py. */
  static on(program: string, words: readonly string[]): Control {
    return new Control(spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] }))
  }

  ask(message: Readonly<Record<string, unknown>>): Promise<Said> {
    const id = ++this.#count
    const answered = new Promise<Said>((resolve) => this.#waiting.set(id, resolve))
    this.#process.stdin?.write(`${JSON.stringify({ id, ...message })}\n`)
    return answered
  }

  reload(files: readonly string[], more: Readonly<Record<string, unknown>> = {}): Promise<Said> {
    return this.ask({ type: 'reload', files, ...more })
  }

  close(): void {
    this.#process.kill('SIGKILL')
  }
}

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(`${path}.new~`, text)
  await rename(`${path}.new~`, path)
}

export async function pause(milliseconds = 20): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/** Asks again until `good`; the test's own time limit ends what never comes. */
export async function until<T>(ask: () => Promise<T> | T, good: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await ask()
    if (good(value)) return value
    await pause()
  }
}

/** One request on a connection of its own, by TCP port or by the path of a Unix socket. */
export function http(
  place: number | string,
  path = '/',
  options: {
    readonly method?: string
    readonly body?: string
    readonly headers?: Record<string, string>
  } = {},
): Promise<Answer> {
  const where = typeof place === 'number' ? { host: '127.0.0.1', port: place } : { socketPath: place }
  return new Promise((resolve, reject) => {
    const asked = request(
      { ...where, path, method: options.method ?? 'GET', headers: options.headers ?? {}, agent: false },
      (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (text: string) => (body += text))
        response.on('error', reject)
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
        )
      },
    )
    asked.on('error', reject)
    asked.end(options.body)
  })
}

/** The variables of a request as a uwsgi packet. */
export function packet(variables: Readonly<Record<string, string>>): Buffer {
  const part = (text: string): Buffer => {
    const data = Buffer.from(text)
    const size = Buffer.alloc(2)
    size.writeUInt16LE(data.length)
    return Buffer.concat([size, data])
  }
  const data = Buffer.concat(Object.entries(variables).flatMap(([name, value]) => [part(name), part(value)]))
  const head = Buffer.alloc(4)
  head.writeUInt16LE(data.length, 1)
  return Buffer.concat([head, data])
}

export function variablesOf(path: string, method = 'GET', more: Readonly<Record<string, string>> = {}) {
  const [name = '', query = ''] = path.split('?')
  return {
    REQUEST_METHOD: method,
    REQUEST_URI: path,
    PATH_INFO: name,
    QUERY_STRING: query,
    SERVER_NAME: 'localhost',
    SERVER_PORT: '80',
    SERVER_PROTOCOL: 'HTTP/1.1',
    HTTP_HOST: 'localhost',
    ...more,
  }
}

/** All that a connection answers to these bytes; '' when it was closed without a word. */
export function raw(place: string, ...parts: readonly Buffer[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(place)
    let answer = ''
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => (answer += text))
    // A server that closes on bytes that it did not read resets the connection.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET') reject(error)
    })
    socket.on('close', () => resolve(answer))
    // In one piece, as nginx does: an answer may come, and the connection close, before a second piece is written.
    socket.write(Buffer.concat(parts))
  })
}

/** One request by the uwsgi protocol, as nginx sends it. */
export async function uwsgi(
  place: string,
  path = '/',
  method = 'GET',
  body = '',
  more: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const length = { CONTENT_LENGTH: body === '' ? '' : String(Buffer.byteLength(body)) }
  const text = await raw(place, packet(variablesOf(path, method, { ...length, ...more })), Buffer.from(body))
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [status = '', ...lines] = head.split('\r\n')
  const headers = Object.fromEntries(lines.map((line) => line.split(': ') as [string, string]))
  return { status: Number(status.split(' ')[1] ?? 0), body: rest.join('\r\n\r\n'), headers }
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const { createServer } = await import('node:net')
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Whether a process is there and is not a zombie. */
export async function lives(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => '')
  return text !== '' && text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3) !== 'Z'
}
