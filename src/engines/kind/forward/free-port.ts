import { createServer } from 'node:net'

const LOOPBACK = ['127.0.0.1', '::1']

/** Looks at IPv4 and IPv6: `localhost` may mean either, and the wrong program would answer. */
export async function isFree(port: number): Promise<boolean> {
  for (const host of LOOPBACK) if (!(await canListen(port, host))) return false
  return true
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    // An address that this machine does not have, or a port that needs rights we lack, is no sign of another program.
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
