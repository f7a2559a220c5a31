import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { DevstackError } from '../../../core/error.js'
import type { Problem, SourcePosition } from '../../../core/error.js'
import { readYaml } from '../../../core/yaml.js'

/** The configuration that a cluster is made with. */
export interface ClusterConfig {
  readonly text: string
  readonly hash: string
  /** Ports of this machine that it takes; an API server's port that kind chooses is not among them. */
  readonly ports: readonly { readonly host: string; readonly port: number }[]
}

/**
 * One node, and no port but that of the API server, which kind opens to this machine alone. Whoever follows a log that is
 * rotated faster than it is read misses lines: with the kubelet's own 10Mi a flood does that.
 */
const MINIMAL = `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  apiServerAddress: 127.0.0.1
kubeadmConfigPatches:
  - |
    kind: KubeletConfiguration
    containerLogMaxSize: 50Mi
    containerLogMaxFiles: 3
nodes:
  - role: control-plane
`

const LOOPBACK: ReadonlySet<unknown> = new Set(['127.0.0.1', '::1'])

/**
 * The project's configuration, or where it has none the least one. Ports that would be open to the network are refused: Docker
 * publishes them past the firewall.
 * @throws DevstackError CONFIG_INVALID with every problem at its place
 */
export async function readClusterConfig(file: string | null): Promise<ClusterConfig> {
  const text = file === null ? MINIMAL : await readFile(file, 'utf8')
  const source = readYaml(text, file ?? 'cluster.yaml')
  const problems = [...source.problems]
  const ports: { host: string; port: number }[] = []
  const document = mapping(source.documents[0])
  const complain = (at: SourcePosition, message: string, hint: string | null): void => {
    problems.push({ message, at, hint } satisfies Problem)
  }
  if (problems.length === 0 && (source.documents.length !== 1 || document['kind'] !== 'Cluster'))
    complain(source.locate([]), 'this is no configuration of a kind cluster', 'it begins with kind: Cluster')
  const { apiServerAddress, apiServerPort } = mapping(document['networking'])
  if (apiServerAddress !== undefined && !LOOPBACK.has(apiServerAddress)) {
    const at = source.locate(['networking', 'apiServerAddress'], 'value')
    complain(at, 'the API server would be open to the network', 'apiServerAddress: 127.0.0.1')
  }
  if (isPort(apiServerPort)) {
    ports.push({ host: apiServerAddress === '::1' ? '::1' : '127.0.0.1', port: apiServerPort })
  }
  for (const [node, value] of list(document['nodes']).entries()) {
    for (const [index, entry] of list(mapping(value)['extraPortMappings']).entries()) {
      const { hostPort, listenAddress } = mapping(entry)
      if (!LOOPBACK.has(listenAddress)) {
        const at = source.locate(['nodes', node, 'extraPortMappings', index, 'listenAddress'])
        const what = isPort(hostPort) ? `port ${String(hostPort)}` : 'this port'
        complain(at, `${what} would be open to the network`, 'listenAddress: 127.0.0.1')
      } else if (isPort(hostPort)) ports.push({ host: String(listenAddress), port: hostPort })
    }
  }
  if (problems.length > 0) {
    throw new DevstackError('CONFIG_INVALID', `${file ?? 'the cluster configuration'} cannot be used`, {
      problems,
    })
  }
  return { text, hash: createHash('sha256').update(text).digest('hex'), ports }
}

function mapping(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** 0 and -1 let kind or the engine choose. */
function isPort(value: unknown): value is number {
  return typeof value === 'number' && value > 0
}
