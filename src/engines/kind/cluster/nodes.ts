import type { Docker } from '../../compose/docker.js'
import { isNotFound, labelFilter } from '../../compose/docker.js'

/** A node of a kind cluster: a container of the engine. */
export interface NodeContainer {
  readonly id: string
  readonly name: string
  readonly role: 'control-plane' | 'worker' | 'external-load-balancer'
  readonly state: 'running' | 'paused' | 'stopped'
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** Where it publishes the API server; null where it does not, or does not run. */
  readonly api: { readonly host: string; readonly port: number } | null
}

/** The node containers of the engine, by kind's own label. */
export interface NodeContainers {
  list(cluster: string, signal: AbortSignal): Promise<readonly NodeContainer[]>
  /** The text of a file in a node, running or not; null where it is not there. */
  readFile(id: string, path: string, signal: AbortSignal): Promise<string | null>
  /** Starts it, or lets it go on where it is paused. */
  start(node: NodeContainer, signal: AbortSignal): Promise<void>
}

const LABEL = { cluster: 'io.x-k8s.kind.cluster', role: 'io.x-k8s.kind.role' } as const
const API_PORT = 6443

export function createNodeContainers(docker: Docker): NodeContainers {
  return {
    async list(cluster, signal) {
      const filters = labelFilter(`${LABEL.cluster}=${cluster}`)
      const found = await docker.get<readonly RawContainer[]>(
        '/containers/json',
        { all: true, filters },
        signal,
      )
      return found.map(nodeOf).sort((a, b) => a.name.localeCompare(b.name))
    },
    async readFile(id, path, signal) {
      const client = await docker.client()
      try {
        const options = { path, abortSignal: signal }
        const archive = await client.getContainer(id).getArchive(options)
        return await onlyFile(archive)
      } catch (error) {
        signal.throwIfAborted()
        if (isNotFound(error)) return null
        throw docker.explain(error, `read ${path} in ${id.slice(0, 12)}`)
      }
    },
    async start(node, signal) {
      const container = (await docker.client()).getContainer(node.id)
      const options = { abortSignal: signal }
      try {
        await (node.state === 'paused' ? container.unpause(options) : container.start(options))
      } catch (error) {
        signal.throwIfAborted()
        // 304: it runs already.
        if ((error as { statusCode?: number }).statusCode === 304) return
        throw docker.explain(error, `start the node ${node.name}`)
      }
    },
  }
}

interface RawContainer {
  readonly Id: string
  readonly Names: readonly string[]
  readonly Labels: Readonly<Record<string, string>>
  readonly State: string
  /** Seconds since the epoch. */
  readonly Created: number
  readonly Ports: readonly {
    readonly IP?: string
    readonly PrivatePort: number
    readonly PublicPort?: number
  }[]
}

function nodeOf(raw: RawContainer): NodeContainer {
  const published = raw.Ports.find((port) => port.PrivatePort === API_PORT && port.PublicPort !== undefined)
  const role = raw.Labels[LABEL.role]
  return {
    id: raw.Id,
    name: raw.Names[0]?.replace(/^\//, '') ?? raw.Id.slice(0, 12),
    role: role === 'control-plane' || role === 'external-load-balancer' ? role : 'worker',
    state: raw.State === 'running' || raw.State === 'paused' ? raw.State : 'stopped',
    createdAt: raw.Created * 1000,
    api:
      published?.PublicPort === undefined ? null : { host: published.IP ?? '', port: published.PublicPort },
  }
}

/** The text of the one file of an archive. */
async function onlyFile(archive: NodeJS.ReadableStream): Promise<string | null> {
  const { default: tar } = await import('tar-stream')
  const unpacked = archive.pipe(tar.extract())
  for await (const entry of unpacked) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    if (entry.header.type === 'file') return Buffer.concat(chunks).toString('utf8')
  }
  return null
}
