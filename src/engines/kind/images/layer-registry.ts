import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createGunzip } from 'node:zlib'

/** So much of one layer is held in memory; a larger one goes another way. */
export const LARGEST_LAYER = 32 * 1024 * 1024

/** Takes pushed layers, and only some: it lives as long as one push. */
export interface LayerRegistry {
  /** Where the engine pushes to: `127.0.0.1:40123/devstack-layers/3f2a...`. */
  readonly repository: string
  /** Digest of each wanted layer -> its plain archive, once all of them are there. */
  readonly layers: Promise<ReadonlyMap<string, Buffer>>
  close(): Promise<void>
}

/** Every repository of ours begins so: what a killed process left in the engine is known by it. */
export const LAYER_REPOSITORY = 'devstack-layers'

/**
 * A registry of this process, on loopback, in which nothing is there: so the engine sends layer after layer, the topmost first. What
 * is sent is believed by its digest alone.
 */
export async function openLayerRegistry(wanted: ReadonlySet<string>): Promise<LayerRegistry> {
  const found = new Map<string, Buffer>()
  const all = Promise.withResolvers<ReadonlyMap<string, Buffer>>()
  // Nobody else on this machine knows where to send to.
  const path = `${LAYER_REPOSITORY}/${randomBytes(16).toString('hex')}`
  const received = (layer: Buffer): void => {
    const digest = `sha256:${createHash('sha256').update(layer).digest('hex')}`
    if (wanted.has(digest)) found.set(digest, layer)
    if (found.size === wanted.size) all.resolve(found)
  }
  const server = createServer((request, response) => {
    answer(request, response, path, received).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    repository: `127.0.0.1:${String(port)}/${path}`,
    layers: all.promise,
    close: () => close(server),
  }
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

/** As much of the distribution protocol as a push of layers needs. */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  repository: string,
  received: (layer: Buffer) => void,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://registry')
  response.setHeader('Docker-Distribution-Api-Version', 'registry/2.0')
  if (pathname === '/v2/') return void response.end('{}')
  const uploads = `/v2/${repository}/blobs/uploads/`
  if (!pathname.startsWith(uploads)) return void response.writeHead(404).end()
  const location = pathname === uploads ? uploads + randomBytes(16).toString('hex') : pathname
  response.setHeader('Location', location)
  switch (request.method) {
    case 'POST':
      return void response.writeHead(202, { Range: '0-0' }).end()
    case 'PATCH': {
      const { layer, length } = await readLayer(request)
      if (layer !== null) received(layer)
      return void response.writeHead(202, { Range: `0-${String(length - 1)}` }).end()
    }
    case 'PUT':
      return void response.writeHead(201, { 'Docker-Content-Digest': searchParams.get('digest') ?? '' }).end()
    default:
      response.writeHead(405).end()
  }
}

/** Null where it is too large; then its sender is left waiting, so that it packs no more of it. */
async function readLayer(request: IncomingMessage): Promise<{ layer: Buffer | null; length: number }> {
  let length = 0
  const unpacked = createGunzip()
  request.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (!unpacked.write(chunk)) request.pause()
  })
  unpacked.on('drain', () => request.resume())
  request.once('end', () => unpacked.end())
  request.once('close', () => {
    if (!request.complete) unpacked.destroy()
  })
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of unpacked as AsyncIterable<Buffer>) {
    pieces.push(piece)
    size += piece.length
    if (size <= LARGEST_LAYER) continue
    pieces.length = 0
    request.pause()
    unpacked.removeAllListeners('drain')
    await once(request, 'close')
    return { layer: null, length }
  }
  return { layer: Buffer.concat(pieces), length }
}
