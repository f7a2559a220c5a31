import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'

const run = promisify(execFile)

/** A Docker engine of one test, apart from the machine's: with data, socket and processes of its own, and no network. */
export class OwnEngine implements AsyncDisposable {
  private daemon: ChildProcess | null = null

  private constructor(private readonly folder: string) {}

  /** `diskMegabytes`: its data lies on a disk of that size. */
  static async start(options: { readonly diskMegabytes?: number } = {}): Promise<OwnEngine> {
    // Short: a socket's path may have 107 bytes.
    const engine = new OwnEngine(await mkdtemp(join(tmpdir(), 'dse2e-')))
    try {
      await mkdir(engine.data)
      if (options.diskMegabytes !== undefined)
        await run('mount', [
          '-t',
          'tmpfs',
          '-o',
          `size=${String(options.diskMegabytes)}m`,
          'tmpfs',
          engine.data,
        ])
      await engine.start()
      return engine
    } catch (error) {
      await engine[Symbol.asyncDispose]()
      throw error
    }
  }

  private get data(): string {
    return join(this.folder, 'data')
  }

  /** Where it answers, as DOCKER_HOST. */
  get host(): string {
    return `unix://${join(this.folder, 'docker.sock')}`
  }

  async docker(...argv: readonly string[]): Promise<string> {
    return (await run('docker', ['--host', this.host, ...argv])).stdout
  }

  /** Takes an image over from the machine's engine: no registry is asked. */
  async load(image: string): Promise<void> {
    const save = spawn('docker', ['save', image], { stdio: ['ignore', 'pipe', 'inherit'] })
    const load = spawn('docker', ['--host', this.host, 'load'], { stdio: [save.stdout, 'ignore', 'inherit'] })
    const [code] = (await once(load, 'exit')) as [number | null]
    if (code !== 0) throw new Error(`docker load of ${image} ended with ${String(code)}`)
  }

  /** Also after {@link OwnEngine.kill}: the containers are as it left them. */
  async start(): Promise<void> {
    const flags = {
      host: this.host,
      'data-root': this.data,
      'exec-root': join(this.folder, 'exec'),
      pidfile: join(this.folder, 'docker.pid'),
      bridge: 'none',
    }
    const argv = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
    const log = createWriteStream(join(this.folder, 'log'), { flags: 'a' })
    await once(log, 'open')
    const program = ['--net', 'dockerd', ...argv, '--iptables=false', '--ip6tables=false', '--live-restore']
    // In a network namespace of its own: an engine without a bridge deletes `docker0` where it finds one, and that is the
    // machine's.
    this.daemon = spawn('unshare', program, { stdio: ['ignore', log, log], detached: true })
    try {
      await expect.poll(() => this.answers(), { timeout: 60_000 }).toBe(true)
    } catch {
      throw new Error(`no engine:\n${await readFile(join(this.folder, 'log'), 'utf8')}`)
    }
  }

  /** As a crash: nothing is put in order, the containers go on. */
  async kill(): Promise<void> {
    const { daemon } = this
    if (daemon === null || daemon.exitCode !== null || daemon.signalCode !== null) return
    const ended = once(daemon, 'exit')
    daemon.kill('SIGKILL')
    await ended
    await rm(join(this.folder, 'docker.pid'), { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    // What it left: its containerd, and the containers' shims and programs, all below its own folder.
    await expect.poll(() => this.endProcesses(), { timeout: 20_000 }).toBe(0)
    for (const path of await this.mounts()) await run('umount', ['--lazy', path]).catch(() => undefined)
    await rm(this.folder, { recursive: true, force: true })
  }

  private async answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const sent = request({ socketPath: join(this.folder, 'docker.sock'), path: '/_ping' }, (response) => {
        response.resume()
        resolve(response.statusCode === 200)
      })
      sent.on('error', () => resolve(false))
      sent.end()
    })
  }

  /** Ends what names this engine's folder on its command line, and its children. Resolves with how many there were. */
  private async endProcesses(): Promise<number> {
    const own: number[] = []
    const parents = new Map<number, number>()
    for (const entry of await readdir('/proc')) {
      const pid = Number(entry)
      if (!Number.isInteger(pid) || pid === process.pid) continue
      const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')
      const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '')
      parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
      if (line.includes(`${this.folder}/`)) own.push(pid)
    }
    const children = [...parents].filter(([, parent]) => own.includes(parent)).map(([pid]) => pid)
    for (const pid of new Set([...children, ...own])) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended by itself.
      }
    }
    return own.length
  }

  /** Deepest first. */
  private async mounts(): Promise<readonly string[]> {
    const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n')
    return lines
      .map((line) => line.split(' ')[1] ?? '')
      .filter((path) => path.startsWith(`${this.folder}/`))
      .toSorted((a, b) => b.length - a.length)
  }
}
