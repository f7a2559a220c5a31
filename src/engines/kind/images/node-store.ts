import { DevstackError } from '../../../core/error.js'
import type { Docker } from '../../compose/docker.js'
import { startInNode, runInNode } from './node-exec.js'

/** A name under which a node's container runtime has an image. */
export interface NodeImage {
  /** Full: `docker.io/library/shop-api:ds-0123456789ab`; also the runtime's own `sha256:...` names. */
  readonly name: string
  /** Of what the name stands for: names of one image have the same. */
  readonly digest: string
}

/** What a node's container runtime has, asked and changed through the node's container. */
export interface NodeStore {
  readonly node: string
  /** Full references of its images. Quick: nothing else is looked at. */
  names(signal: AbortSignal): Promise<ReadonlySet<string>>
  images(signal: AbortSignal): Promise<readonly NodeImage[]>
  /** Digests of all that images are made of. */
  blobs(signal: AbortSignal): Promise<ReadonlySet<string>>
  /** Digest -> bytes, of those of the given that are there. */
  sizes(digests: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, number>>
  /** Names of the images that its containers were made from, running or not. */
  used(signal: AbortSignal): Promise<ReadonlySet<string>>
  /** Takes in an archive in OCI's layout. */
  load(signal: AbortSignal): Promise<NodeLoad>
  remove(names: readonly string[], signal: AbortSignal): Promise<void>
}

/** An archive on its way into a node. */
export interface NodeLoad {
  /** Resolves when more may be written. After a failure it does nothing: `end` tells. */
  write(chunk: Buffer): Promise<void>
  /** No more comes; resolves when all layers are unpacked. @throws DevstackError OPERATION_FAILED with the runtime's words */
  end(): Promise<void>
  abort(): void
}

/** The runtime's own client, as each kind node has it; the kubelet's images are in `k8s.io`. */
const CTR = ['ctr', '--namespace=k8s.io'] as const
/** Where kind's nodes keep their blobs. */
const BLOBS = '/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256'

export function createNodeStore(docker: Docker, node: string): NodeStore {
  const ask = async (argv: readonly string[], signal: AbortSignal): Promise<readonly string[][]> => {
    const { exitCode, stdout, stderr } = await runInNode(docker, node, argv, signal)
    if (exitCode !== 0) throw failed(node, argv, stderr)
    return rowsOf(stdout)
  }
  return {
    node,
    async names(signal) {
      const rows = await ask([...CTR, 'images', 'ls', '-q'], signal)
      return new Set(rows.flatMap(([name]) => name ?? []))
    },
    async images(signal) {
      const rows = await ask([...CTR, 'images', 'ls'], signal)
      return rows.slice(1).flatMap(([name, _type, digest]) => (name && digest ? { name, digest } : []))
    },
    async blobs(signal) {
      const rows = await ask([...CTR, 'content', 'ls'], signal)
      return new Set(rows.slice(1).flatMap(([digest]) => digest ?? []))
    },
    async sizes(digests, signal) {
      const files = digests.map((digest) => `${BLOBS}/${digest.replace('sha256:', '')}`)
      // The exit code only says that some are missing.
      const { stdout } = await runInNode(docker, node, ['stat', '--format=%s %n', '--', ...files], signal)
      return new Map(
        rowsOf(stdout).map(([size, file = '']) => [`sha256:${file.slice(BLOBS.length + 1)}`, Number(size)]),
      )
    },
    async used(signal) {
      const rows = await ask([...CTR, 'containers', 'ls'], signal)
      return new Set(rows.slice(1).flatMap(([, image]) => image ?? []))
    },
    load: (signal) => load(docker, node, signal),
    async remove(names, signal) {
      if (names.length > 0) await ask([...CTR, 'images', 'rm', ...names], signal)
    },
  }
}

async function load(docker: Docker, node: string, signal: AbortSignal): Promise<NodeLoad> {
  const argv = [...CTR, 'images', 'import', '-']
  const { stdin, ended, close } = await startInNode(docker, node, argv, signal)
  let over = false
  void ended.then(() => {
    over = true
  })
  return {
    async write(chunk) {
      if (over || stdin.write(chunk)) return
      const drained = new Promise<void>((resolve) => stdin.once('drain', () => resolve()))
      await Promise.race([drained, ended])
    },
    async end() {
      stdin.end()
      const { exitCode, stderr } = await ended
      signal.throwIfAborted()
      if (exitCode !== 0) throw failed(node, argv, stderr)
    },
    abort: close,
  }
}

function rowsOf(text: string): readonly string[][] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/\s+/))
}

function failed(node: string, argv: readonly string[], stderr: string): DevstackError {
  const last = stderr.trim().split('\n').at(-1) ?? ''
  if (/no space left on device/i.test(stderr)) {
    return new DevstackError('DISK_FULL', `${node} has no room for the images`, {
      cause: last,
      hint: 'docker system df shows what takes the room; devstack images --prune frees superseded images',
    })
  }
  return new DevstackError('OPERATION_FAILED', `${argv.slice(0, 4).join(' ')} failed in ${node}`, {
    cause: last === '' ? 'it said nothing' : last,
  })
}
