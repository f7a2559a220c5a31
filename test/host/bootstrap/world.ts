import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type {
  BootstrapEvent,
  BootstrapOptions,
  BootstrapResult,
} from '../../../src/host/bootstrap/bootstrap.js'
import { bootstrap } from '../../../src/host/bootstrap/bootstrap.js'
import { engineEndpoint } from '../../../src/host/bootstrap/endpoint.js'
import { startEngine } from '../../../src/host/bootstrap/engine.js'
import type { Machine } from '../../../src/host/bootstrap/machine.js'

const fakes = fileURLToPath(new URL('../../fakes/bin', import.meta.url))

export const parts = { engine: '26.1.5', client: '26.1.5', compose: '2.26.1', buildx: '0.13.1' } as const

export const debian12: Machine = {
  platform: 'linux',
  os: {
    ID: 'debian',
    VERSION_ID: '12',
    VERSION_CODENAME: 'bookworm',
    PRETTY_NAME: 'Debian GNU/Linux 12 (bookworm)',
  },
  isRoot: true,
  user: 'root',
  hasSudo: false,
  hasSystemd: false,
  hasApt: true,
}

/** A machine of fakes: programs that log their words, a socket of its own, an apt that brings an engine. */
export class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'devstack-bootstrap-'))
  readonly socket = join(this.folder, 'run/docker.sock')
  readonly events: BootstrapEvent[] = []
  readonly questions: string[] = []
  readonly state = join(this.folder, 'state')
  readonly #brings = join(this.folder, 'brings')
  readonly #log = join(this.folder, 'log')

  constructor(have: Partial<Record<keyof typeof parts, string>> = {}) {
    for (const folder of ['run', 'state', 'brings', 'bin']) mkdirSync(join(this.folder, folder))
    for (const name of ['docker', 'dockerd', 'apt-get', 'dpkg-query']) {
      copyFileSync(join(fakes, name), join(this.folder, 'bin', name))
    }
    // Nothing else is on the PATH: what this machine happens to have must not show.
    for (const name of ['sh', 'cat', 'cp', 'rm', 'env'])
      symlinkSync(join('/bin', name), join(this.folder, 'bin', name))
    for (const [part, version] of Object.entries(parts)) writeFileSync(join(this.#brings, part), version)
    for (const [part, version] of Object.entries(have)) writeFileSync(join(this.state, part), version)
    writeFileSync(join(this.state, 'socket'), this.socket)
    writeFileSync(this.#log, '')
  }

  /** Ends the fake engine, if one was started, and takes the folder away. */
  [Symbol.dispose](): void {
    const file = join(this.folder, 'run/docker.pid')
    const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : process.pid
    // A test that failed may have left the number of another process there.
    if (pid !== process.pid) process.kill(pid)
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** What the simulation prints. */
  simulate(text: string): void {
    writeFileSync(join(this.folder, 'simulation'), text)
  }

  get env(): Record<string, string> {
    const simulation = join(this.folder, 'simulation')
    return {
      PATH: join(this.folder, 'bin'),
      // So that the client is asked for its endpoint: the fake one's is this world's socket.
      DOCKER_CONTEXT: 'fake',
      FAKE_LOG: this.#log,
      FAKE_STATE: this.state,
      FAKE_BIN: fakes,
      FAKE_NODE: process.execPath,
      FAKE_APT_BRINGS: this.#brings,
      FAKE_APT_TARGETS:
        'http://mirror.test/debian/|bookworm|main\nhttp://mirror.test/security/|bookworm-security|main',
      ...(existsSync(simulation) ? { FAKE_APT: simulation } : {}),
    }
  }

  bootstrap(
    options: Partial<BootstrapOptions> & { answer?: boolean } = {},
    env: Record<string, string> = {},
  ): Promise<BootstrapResult> {
    return bootstrap({
      yes: false,
      isTty: options.answer !== undefined,
      ask: (question) => {
        this.questions.push(question)
        return Promise.resolve(options.answer ?? false)
      },
      signal: new AbortController().signal,
      emit: (event) => this.events.push(event),
      stateDir: join(this.folder, 'devstack'),
      machine: debian12,
      ...options,
      env: { ...this.env, ...env },
    })
  }

  /** Starts the engine that is there, whatever its version. */
  async startEngine(): Promise<void> {
    const { env } = this
    const signal = new AbortController().signal
    const stateDir = join(this.folder, 'devstack')
    const endpoint = await engineEndpoint(env, signal)
    await startEngine({ machine: debian12, endpoint, env, stateDir, signal, tell: () => undefined })
  }

  /** The commands that were run, with what changes from run to run left out; those that only ask are left out. */
  log(): string[] {
    const lines = readFileSync(this.#log, 'utf8').trimEnd().split('\n')
    writeFileSync(this.#log, '')
    const asks = /--version|inspect|compose version|buildx version|dpkg-query|indextargets/
    const plain = (line: string) =>
      line
        .replace(/-c \S+apt\.conf/, '-c PRIVATE')
        .replace('-o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0', '-o ...')
    return lines.filter((line) => line !== '' && !asks.test(line)).map(plain)
  }
}
