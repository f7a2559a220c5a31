import { createServer } from 'node:net'

export const LOOPBACK = '127.0.0.1'

/** Below the range from which Linux takes the ports of outgoing connections. */
export const ASSIGNED = { from: 20_000, to: 30_000 } as const

/** Ports that were assigned instead of the wanted ones, by what they are for. */
export type KeptPorts = Readonly<Record<string, number>>

/** Looks at IPv4 and IPv6: `localhost` may mean either, and the wrong program would answer. */
export async function isFree(port: number, hostIp: string = LOOPBACK): Promise<boolean> {
  const addresses = new Set([hostIp, LOOPBACK, '::1'])
  for (const address of addresses) if (!(await canListen(port, address))) return false
  return true
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    // An address this machine does not have, or a port that needs rights we lack, is no sign of another program.
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** The text of a file of kept ports; null where there is none. */
export function parseKept(text: string | null): KeptPorts {
  if (text === null) return {}
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return {}
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, number] => Number.isInteger(entry[1])),
    )
  } catch {
    // A damaged file costs the kept ports, not the run.
    return {}
  }
}
