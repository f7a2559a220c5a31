/**
 * A WebSocket client that can only what Vite's updates need: Node has one of its own only from 22 on, and it takes 60 ms
 * to load.
 */
import { randomBytes } from 'node:crypto'
import { get as httpGet } from 'node:http'
import { get as httpsGet } from 'node:https'

const CLOSE = 8
const PING = 9
const PONG = 10

/** @typedef {{ readonly secure: boolean, readonly host: string, readonly port: number }} Address */

/**
 * Asks for a page. Certificates are not checked: a development server signs its own.
 * @param {Address} address
 * @param {string} path
 * @param {Record<string, string>} [headers]
 * @returns {Promise<{ readonly status: number, readonly text: string }>}
 */
export function ask(address, path, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = get(address, path, headers, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part) => (text += part))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', reject)
    })
    request.setTimeout(10_000, () => request.destroy(new Error(`${path} was not answered in 10 s`)))
    request.on('error', reject)
  })
}

/**
 * @param {Address} address
 * @param {string} path
 * @param {(text: string) => void} onMessage
 * @param {() => void} onEnd called once, if it was ever connected
 * @returns {Promise<{ close(): void }>} resolves when the connection is there
 */
export function connect(address, path, onMessage, onEnd) {
  return new Promise((resolve, reject) => {
    // Without an Origin, as no page speaks here, Vite asks for no token; it is in the path all the same.
    const request = get(address, path, {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Protocol': 'vite-hmr',
    })
    request.setTimeout(10_000, () => request.destroy(new Error('the socket was not opened in 10 s')))
    request.on('error', reject)
    request.on('response', (response) => {
      response.resume()
      reject(new Error(`the socket was refused: ${response.statusCode}`))
    })
    request.on('upgrade', (_response, socket, head) => {
      socket.setTimeout(0)
      socket.setNoDelay(true)
      const read = frames(socket, onMessage)
      socket.on('data', read)
      socket.on('error', () => socket.destroy())
      socket.on('close', onEnd)
      resolve({ close: () => socket.destroy() })
      if (head.length > 0) read(head)
    })
  })
}

function get({ secure, host, port }, path, headers, onResponse) {
  const options = {
    host,
    port,
    path,
    // Always among those that Vite allows.
    headers: { Host: `localhost:${port}`, ...headers },
    agent: false,
  }
  return secure
    ? httpsGet({ ...options, rejectUnauthorized: false }, onResponse)
    : httpGet(options, onResponse)
}

/** Reads what a server sends: whole messages to `onMessage`, pings answered. */
function frames(socket, onMessage) {
  let rest = Buffer.alloc(0)
  let parts = []
  const take = (operation, final, body) => {
    // Not left to the server, which may keep its half open.
    if (operation === CLOSE) socket.end(frame(CLOSE, body.subarray(0, 2)), () => socket.destroy())
    else if (operation === PING) socket.write(frame(PONG, body))
    else if (operation !== PONG) {
      parts.push(body)
      if (!final) return
      const text = Buffer.concat(parts).toString('utf8')
      parts = []
      onMessage(text)
    }
  }
  return (data) => {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data])
    for (let size = frameSize(rest); size !== null && rest.length >= size.total; size = frameSize(rest)) {
      const body = rest.subarray(size.header, size.total)
      take(rest[0] & 0x0f, (rest[0] & 0x80) !== 0, body)
      rest = rest.subarray(size.total)
    }
  }
}

/** Of the first frame, or null where not even its header is there. */
function frameSize(data) {
  if (data.length < 2) return null
  const short = data[1] & 0x7f
  const header = short === 126 ? 4 : short === 127 ? 10 : 2
  if (data.length < header) return null
  const length =
    short === 126 ? data.readUInt16BE(2) : short === 127 ? Number(data.readBigUInt64BE(2)) : short
  return { header, total: header + length }
}

/** A short frame, masked as a client's must be. */
function frame(operation, body = Buffer.alloc(0)) {
  const mask = randomBytes(4)
  const masked = Buffer.from(body.map((byte, index) => byte ^ mask[index % 4]))
  return Buffer.concat([Buffer.from([0x80 | operation, 0x80 | masked.length]), mask, masked])
}
