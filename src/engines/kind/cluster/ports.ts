import { createServer } from 'node:net'
import { DevstackError } from '../../../core/error.js'
import type { Docker } from '../../compose/docker.js'
import type { ClusterConfig } from './config.js'

/**
 * Looks at the ports before anything is made: kind tells of a taken one only that "Preparing nodes" failed.
 * @throws DevstackError PORT_TAKEN
 */
export async function requireFreePorts(
  ports: ClusterConfig['ports'],
  docker: Docker,
  portOwner: (port: number) => Promise<string | null>,
  signal: AbortSignal,
): Promise<void> {
  if (ports.length === 0) return
  const containers = await docker.get<readonly RawContainer[]>('/containers/json', {}, signal)
  const taken: string[] = []
  for (const { host, port } of ports) {
    const holder = containers.find(({ Ports }) => Ports.some(({ PublicPort }) => PublicPort === port))
    const container = holder?.Names[0]?.replace(/^\//, '')
    if (container !== undefined) taken.push(`port ${String(port)} is taken by container ${container}`)
    else if (!(await canListen(host, port)))
      taken.push(`port ${String(port)} is taken by ${(await portOwner(port)) ?? 'another program'}`)
  }
  const [first, ...others] = taken
  if (first === undefined) return
  throw new DevstackError('PORT_TAKEN', first, {
    cause: ["the cluster's configuration publishes it", ...others].join('; '),
    hint: 'end what holds it, or give extraPortMappings of the cluster configuration another hostPort',
  })
}

interface RawContainer {
  readonly Names: readonly string[]
  readonly Ports: readonly { readonly PublicPort?: number }[]
}

function canListen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    // An address that this machine does not have, or a port that needs rights we lack, is no sign of another program.
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
