import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LARGEST_LAYER, openLayerRegistry } from '../../../../src/engines/kind/images/layer-registry.js'
import type { LayerRegistry } from '../../../../src/engines/kind/images/layer-registry.js'

const digestOf = (content: Buffer): string => `sha256:${createHash('sha256').update(content).digest('hex')}`

describe('the registry that takes pushed layers', () => {
  const [one, two] = [Buffer.from('the topmost layer'), randomBytes(300_000)]
  let registry: LayerRegistry
  let base: string
  let path: string

  beforeEach(async () => {
    registry = await openLayerRegistry(new Set([digestOf(one), digestOf(two)]))
    const slash = registry.repository.indexOf('/')
    base = `http://${registry.repository.slice(0, slash)}`
    path = `/v2${registry.repository.slice(slash)}/blobs/uploads/`
  })
  afterEach(async () => await registry.close())

  const upload = async (content: Buffer, to = path): Promise<number> => {
    const begun = await fetch(base + to, { method: 'POST' })
    const location = begun.headers.get('location') ?? ''
    const body = new Uint8Array(gzipSync(content))
    const sent = await fetch(base + location, { method: 'PATCH', body })
    const put = `${base}${sent.headers.get('location') ?? ''}?digest=sha256:abc`
    return (await fetch(put, { method: 'PUT' })).status
  }

  test('nothing is there, so that everything is sent', async () => {
    expect((await fetch(`${base}/v2/`)).status).toBe(200)
    const blob = `${base}${path.replace('/uploads/', `/${digestOf(one)}`)}`
    expect((await fetch(blob, { method: 'HEAD' })).status).toBe(404)
  })

  test('it has all when the wanted layers came, among others, known by what they hold', async () => {
    for (const layer of [one, Buffer.from('another one'), two]) expect(await upload(layer)).toBe(201)
    const layers = await registry.layers
    expect(layers.size).toBe(2)
    expect(layers.get(digestOf(two))?.equals(two)).toBe(true)
  })

  test('whoever does not know its name can send nothing', async () => {
    const elsewhere = await fetch(`${base}/v2/devstack-layers/${'0'.repeat(32)}/blobs/uploads/`, {
      method: 'POST',
    })
    expect(elsewhere.status).toBe(404)
  })

  test('a layer that is too large is taken no further; the others come', async () => {
    const large = request(`${base}${path}x`, { method: 'PATCH' })
    large.on('error', () => undefined)
    const body = gzipSync(randomBytes(LARGEST_LAYER + 10_000_000), { level: 0 })
    let left = body.length
    large.write(body, () => (left = 0))
    for (const layer of [one, two]) await upload(layer)
    expect((await registry.layers).size).toBe(2)
    expect(left).toBeGreaterThan(0)
    large.destroy()
  })

  test('one that breaks off, or is none, harms nothing', async () => {
    const broken = request(`${base}${path}x`, { method: 'PATCH' })
    broken.on('error', () => undefined)
    broken.write(gzipSync(two).subarray(0, 1000))
    broken.destroy()
    await fetch(`${base}${path}y`, { method: 'PATCH', body: 'no gzip' }).catch(() => undefined)
    for (const layer of [one, two]) await upload(layer)
    expect((await registry.layers).size).toBe(2)
  })
})
