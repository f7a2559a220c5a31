import { createHash } from 'node:crypto'
import { DevstackError } from '../../../core/error.js'
import type { Delivery } from '../../../orchestrator/ports.js'
import { packFiles } from '../../compose/archive.js'
import type { OrderedChanges, Write } from '../../compose/change-order.js'
import type { Kube } from '../kube-ports.js'
import type { GateState } from './frames.js'
import { runPlainly } from './plain-exec.js'
import { openSource, sourceCause } from './source-file.js'
import type { SourceFile } from './source-file.js'
import type { InsideTarget } from './target.js'

/** A delivery with what the image itself has, as the container's own user. */
export interface PlainTask {
  readonly kube: Kube
  readonly target: InsideTarget
  readonly named: ReadonlySet<string>
  readonly timeOf: (target: string, sourceMs: number | null) => number
  /** Why no agent could do it. */
  readonly tried: string
  readonly signal: AbortSignal
}

/** The kernel takes two megabytes of arguments; they travel in an address. */
const PATHS_A_CALL = 200
const BLOCK = 64 * 1024

/**
 * Where the cluster lets no agent in: by rm and tar of the image's own, else by its shell, file by file. That is slower, and
 * files that the container's own user may not write to are named.
 */
export async function deliverPlainly(
  task: PlainTask,
  { deletes, writes }: OrderedChanges,
): Promise<Delivery> {
  const failed = await remove(task, deletes)
  if (writes.length === 0) return { bytes: 0, written: {}, failed }
  const unpacked = await unpack(task, writes)
  if (typeof unpacked !== 'string') return { ...unpacked, failed: [...failed, ...unpacked.failed] }
  const written = await writeEach(task, writes, unpacked)
  return { ...written, failed: [...failed, ...written.failed] }
}

async function remove(task: PlainTask, deletes: readonly string[]): Promise<Delivery['failed']> {
  const failed: { readonly target: string; readonly cause: string }[] = []
  for (let from = 0; from < deletes.length; from += PATHS_A_CALL) {
    const some = deletes.slice(from, from + PATHS_A_CALL)
    const { exitCode, said } = await run(task, ['rm', '-rf', '--', ...some], null)
    if (exitCode === null) throw cannot(task, [`rm: ${said}`])
    // It says which, in words of its own.
    if (exitCode !== 0) failed.push(...some.map((target) => ({ target, cause: said })))
  }
  return failed
}

/** What tar said where it could not. */
async function unpack(task: PlainTask, writes: readonly Write[]): Promise<Delivery | string> {
  const { named, timeOf, signal } = task
  // Whoever unpacks owns it: only root could give it to somebody else.
  const owner = { uid: 0, gid: 0 }
  const packed = await packFiles(writes, { base: '/', owner, named, timeOf, signal })
  const { exitCode, said } = await run(task, ['tar', '-xpof', '-', '-C', '/'], packed.chunks)
  return exitCode === 0 ? packed.result : said
}

/** Takes the file from stdin, for a shell that has mkdir, cat, chmod and mv. */
const WRITE = `set -e
case "$1" in */*/*) mkdir -p -- "\${1%/*}" ;; esac
if [ -d "$1" ] && [ ! -L "$1" ]; then rmdir -- "$1"; fi
cat > "$1.devstack~"
chmod "$2" "$1.devstack~"
mv -f -- "$1.devstack~" "$1"`
const LINK = `set -e
case "$1" in */*/*) mkdir -p -- "\${1%/*}" ;; esac
rm -f -- "$1"
ln -s -- "$2" "$1"`

async function writeEach(task: PlainTask, writes: readonly Write[], tar: string): Promise<Delivery> {
  let bytes = 0
  const written: Record<string, string> = {}
  const failed: { readonly target: string; readonly cause: string }[] = []
  for (const write of writes) {
    const one = await writeOne(task, write, tar)
    bytes += one.bytes
    Object.assign(written, one.written)
    failed.push(...one.failed)
  }
  return { bytes, written, failed }
}

async function writeOne(task: PlainTask, write: Write, tar: string): Promise<Delivery> {
  const { target } = write
  if (write.type === 'link') {
    const { exitCode, said } = await run(task, ['sh', '-c', LINK, 'sh', target, write.to], null)
    if (exitCode === null) throw cannot(task, [`tar: ${tar}`, `sh: ${said}`])
    if (exitCode !== 0) return failure(target, said)
    const hash = createHash('sha256').update(`link:${write.to}`).digest('hex')
    return { bytes: 0, written: { [target]: hash }, failed: [] }
  }
  const file = openSource(write.source, task.named.has(write.source))
  if (typeof file === 'string') return failure(target, file)
  const sent = new SentFile(file)
  const argv = ['sh', '-c', WRITE, 'sh', target, (write.mode & 0o7777).toString(8)]
  const { exitCode, said } = await run(task, argv, sent.chunks())
  if (exitCode === null) throw cannot(task, [`tar: ${tar}`, `sh: ${said}`])
  if (exitCode !== 0 || sent.cause !== null) return failure(target, sent.cause ?? said)
  return { bytes: sent.bytes, written: { [target]: sent.hash.digest('hex') }, failed: [] }
}

/** A file on its way into a program's stdin. */
class SentFile {
  readonly hash = createHash('sha256')
  bytes = 0
  cause: string | null = null

  constructor(private readonly file: SourceFile) {}

  async *chunks(): AsyncGenerator<Buffer> {
    try {
      for (let piece = this.file.read(BLOCK); piece.length > 0; piece = this.file.read(BLOCK)) {
        this.hash.update(piece)
        this.bytes += piece.length
        yield piece
      }
      if (!this.file.unchanged()) this.cause = 'it changed while it was read'
    } catch (error) {
      this.cause = sourceCause(error)
    } finally {
      this.file.close()
    }
  }
}

const GATE = `i=0
while [ "$i" -lt "$2" ]; do
  if [ -e "/.devstack/run/$1.waiting" ]; then : > "/.devstack/run/$1.go"; exit 0; fi
  case "$(tr '\\0' ' ' < /proc/1/cmdline)" in *"/.devstack/bin/gate"*) ;; *) exit 9 ;; esac
  i=$((i + 1))
  sleep 1
done
exit 8`

/** The gate itself is a script of the image's shell, so that one is there. */
export async function openGatePlainly(
  kube: Kube,
  target: InsideTarget,
  seconds: number,
  signal: AbortSignal,
): Promise<GateState> {
  const argv = ['sh', '-c', GATE, 'sh', target.container, String(seconds)]
  const { exitCode } = await runPlainly(kube, target, argv, null, signal)
  if (exitCode === 0) return 'opened'
  if (exitCode === 9) return 'none'
  return exitCode === 8 ? 'shut' : 'failed'
}

function run(
  { kube, target, signal }: PlainTask,
  argv: readonly string[],
  stdin: AsyncIterable<Buffer> | null,
) {
  return runPlainly(kube, target, argv, stdin, signal)
}

function failure(target: string, cause: string): Delivery {
  return {
    bytes: 0,
    written: {},
    failed: [{ target, cause: cause === '' ? 'it could not be written' : cause }],
  }
}

function cannot({ target, tried }: PlainTask, others: readonly string[]): DevstackError {
  const { service } = target
  return new DevstackError('DELIVERY_FAILED', `could not deliver to ${service}`, {
    cause: [`agent: ${tried}`, ...others].join('\n'),
    hint: `a rebuild brings it level: devstack up --build ${service}`,
  })
}
