import type { Socket } from 'node:net'

/** Longest line that is read: a snapshot of a large stack with its log tails stays far below. */
const LINE_LIMIT = 64 * 1024 * 1024

/** Calls `receive` with each JSON value of an NDJSON stream. A line that is no JSON, or too long, ends the connection. */
export function readMessages(socket: Socket, receive: (message: unknown) => void): void {
  let chunks: Buffer[] = []
  let size = 0
  socket.on('data', (chunk: Buffer) => {
    let rest = chunk
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = Buffer.concat([...chunks, rest.subarray(0, end)]).toString('utf8')
      chunks = []
      size = 0
      rest = rest.subarray(end + 1)
      const message = parse(line)
      if (message === undefined) {
        socket.destroy()
        return
      }
      receive(message)
    }
    chunks.push(rest)
    size += rest.length
    if (size > LINE_LIMIT) socket.destroy()
  })
}

/** One message, one line. Returns false where the socket's buffer is full. */
export function writeMessage(socket: Socket, message: object): boolean {
  return socket.writable && socket.write(`${JSON.stringify(message)}\n`)
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line) as unknown
  } catch {
    return undefined
  }
}
