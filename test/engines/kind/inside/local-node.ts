import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { DevstackError } from '../../../../src/core/error.js'
import type { ExecOptions, KubeProcess } from '../../../../src/engines/kind/kube-ports.js'
import type { FakeNode } from './fake-kube.js'
import { runHere } from './local-agent.js'

/** The agent of a fake pod runs on this machine, in a folder that stands in for the container's root. */
export class LocalNode implements FakeNode {
  /** The container's root. */
  readonly root: string
  readonly processes: KubeProcess[] = []
  /** What an exec into the container itself is answered by. */
  inContainer: (argv: readonly string[]) => KubeProcess = () => {
    throw new DevstackError('EXEC_FAILED', 'the cluster refused it', { cause: 'no such program' })
  }
  /** Called before an exec into an agent's container: may refuse it. */
  beforeExec: () => void = () => undefined
  /** May put something else in the place of an agent. */
  replace: (argv: readonly string[]) => KubeProcess | null = () => null
  readonly #folder: string

  constructor(folder: string) {
    this.root = join(folder, 'root')
    this.#folder = join(folder, 'run')
    mkdirSync(this.root, { recursive: true })
    mkdirSync(this.#folder, { recursive: true })
  }

  addAgent(): Promise<void> {
    return Promise.resolve()
  }

  exec({ container, argv }: ExecOptions): Promise<KubeProcess> {
    if (!container.startsWith('devstack-agent-')) return Promise.resolve(this.inContainer(argv))
    this.beforeExec()
    const mine = argv.flatMap((word): readonly string[] => {
      if (word === 'serve') return [word, `--root=${this.root}`, '--uid=0', '--gid=0']
      if (word === 'exec') return [word, '--root=/']
      return [word.replace(/^(--kept=)?\/run\/devstack/, `$1${this.#folder}`)]
    })
    const process = this.replace(mine) ?? runHere(mine)
    this.processes.push(process)
    return Promise.resolve(process)
  }
}

/** A process that says nothing and takes everything, until it is closed. */
export function silentProcess(): KubeProcess {
  const ended = Promise.withResolvers<{ readonly exitCode: number | null; readonly cause: string | null }>()
  const [stdin, stdout, stderr] = [new PassThrough().resume(), new PassThrough(), new PassThrough()]
  return {
    stdin,
    stdout,
    stderr,
    started: Promise.resolve(),
    ended: ended.promise,
    resize: () => undefined,
    close: () => {
      stdout.end()
      stderr.end()
      ended.resolve({ exitCode: null, cause: 'the connection was closed' })
    },
  }
}

/** A process whose connection dies without a word, once its first words came. */
export function deafOnceItRuns(process: KubeProcess): KubeProcess {
  let deaf = false
  process.stdout.once('data', () => (deaf = true))
  const stdin = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (deaf) done()
      else process.stdin.write(chunk, done)
    },
  })
  return { ...process, stdin }
}
