import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Progress } from '../../../../src/core/events.js'
import { createDocker } from '../../../../src/engines/compose/docker.js'
import { pruneNode } from '../../../../src/engines/kind/images/prune.js'
import { sendInto } from '../../../../src/engines/kind/images/send-images.js'
import type { Sent } from '../../../../src/engines/kind/images/send-images.js'
import { digestOf, startFakeEngine } from './fake-engine.js'
import type { FakeEngine, FakeImage } from './fake-engine.js'
import { FakeNode } from './fake-node.js'

const API = 'docker.io/library/shop-api'

describe('images without a registry', () => {
  let engine: FakeEngine
  let node: FakeNode
  let stop: AbortController
  let told: Progress[]

  beforeEach(async () => {
    engine = await startFakeEngine()
    node = new FakeNode('one')
    stop = new AbortController()
    told = []
  })
  afterEach(async () => await engine.docker.dispose())

  const reference = (image: FakeImage, name = 'shop-api'): string => `${name}:ds-${image.id.slice(7, 19)}`
  const send = async (
    images: readonly (FakeImage | readonly [FakeImage, string])[],
    nodes = [node],
  ): Promise<Sent> => {
    const wanted = images.map((one) => {
      const [image, name] = Array.isArray(one) ? (one as [FakeImage, string]) : [one as FakeImage, 'shop-api']
      return { id: image.id, node: reference(image, name) }
    })
    const docker = createDocker(engine.docker.endpoint)
    const options = { docker, images: wanted, progress: (progress: Progress) => told.push(progress) }
    return await sendInto(nodes, options, stop.signal)
  }
  const layersSent = (layers: readonly string[]): readonly string[] =>
    layers.filter((layer) => node.sent.includes(digestOf(layer)))

  test('a node that has nothing gets all of it, under the name that the kubelet looks for', async () => {
    const image = engine.add(['base', 'app'])
    await send([image])
    const name = `${API}:ds-${image.id.slice(7, 19)}`
    expect([...node.named.keys()]).toEqual([name])
    expect(node.image(name).layers).toEqual(['base', 'app'])
  })

  test('what is there costs one look, and the engine is asked nothing', async () => {
    const image = engine.add(['base', 'app'])
    await send([image])
    node.asked.length = 0
    engine.docker.asked.length = 0
    told.length = 0
    expect(await send([image])).toEqual({ references: [], bytes: 0 })
    expect([node.asked, engine.docker.asked, told]).toEqual([['names'], [], []])
  })

  test('of a changed image only the layers that changed are sent', async () => {
    await send([engine.add(['base', 'packages', 'app'])])
    node.sent.length = 0
    const changed = engine.add(['base', 'packages', 'app 2'])
    await send([changed])
    expect(layersSent(['base', 'packages', 'app', 'app 2'])).toEqual(['app 2'])
    expect(node.image(`docker.io/library/${reference(changed)}`).layers).toEqual([
      'base',
      'packages',
      'app 2',
    ])
  })

  describe('of whose layers only small ones on top changed', () => {
    const base = 'base '.repeat(1000)
    const change = async (layers: readonly string[]): Promise<FakeImage> => {
      await send([engine.add([base, 'app'])])
      engine.packed.length = 0
      const changed = engine.add(layers)
      await send([changed])
      expect(node.image(`docker.io/library/${reference(changed)}`).layers).toEqual(layers)
      return changed
    }

    test('is not packed: the engine pushes the layers to us, the topmost first, and no more than it takes', async () => {
      await change([base, 'app 2', 'more'])
      expect(engine.packed).toEqual([])
      expect(engine.pushed.slice(0, 2)).toEqual(['more', 'app 2'])
    })

    test('leaves no name in the engine, of a process that was killed neither', async () => {
      const left = `127.0.0.1:40000/devstack-layers/${'a'.repeat(32)}:layers`
      const foreign = '127.0.0.1:5000/devstack-layers/mine:latest'
      engine.names.add(left).add(foreign)
      engine.docker.answers['/images/json'] = [{ RepoTags: [left, foreign] }]
      await change([base, 'app 2'])
      expect([...engine.names]).toEqual([foreign])
    })

    test('is packed where the engine does not reach this process', async () => {
      engine.reachesUs = false
      await change([base, 'app 2'])
      expect(engine.packed).toHaveLength(1)
    })

    test('is packed where what changed is no small part, or lies below', async () => {
      await change([base, 'app '.repeat(1000)])
      expect(engine.packed).toHaveLength(1)
      await change([`other ${base}`, 'app'])
      expect(engine.packed).toHaveLength(1)
      expect(engine.pushed).toEqual([])
    })

    test('is pushed once where two images share them', async () => {
      await send([engine.add([base, 'app'])])
      engine.packed.length = 0
      const [api, migrate] = [engine.add([base, 'app 2']), engine.add([base, 'app 2'], 'A=2')]
      await send([api, migrate])
      expect(engine.packed).toEqual([])
      expect(engine.pushed.filter((layer) => layer === 'app 2')).toHaveLength(1)
      for (const image of [api, migrate])
        expect(node.image(`docker.io/library/${reference(image)}`).layers).toEqual([base, 'app 2'])
    })
  })

  test('an image of layers that are there is only described; the engine packs nothing', async () => {
    await send([engine.add(['base', 'app'])])
    node.sent.length = 0
    const other = engine.add(['base', 'app'], 'A=2')
    await send([other])
    expect(engine.packed).toHaveLength(1)
    expect(layersSent(['base', 'app'])).toEqual([])
    expect(node.image(`docker.io/library/${reference(other)}`)).toEqual({
      layers: ['base', 'app'],
      config: {
        created: '2026-01-02T03:04:05Z',
        architecture: 'amd64',
        os: 'linux',
        config: { Env: ['A=2'], Cmd: ['run'], User: '1000' },
        rootfs: { type: 'layers', diff_ids: [digestOf('base'), digestOf('app')] },
      },
    })
  })

  test('several images are packed once, and what they share is sent once', async () => {
    const images = [
      engine.add(['base', 'api']),
      engine.add(['base', 'web']),
      engine.add(['base', 'api'], 'A=2'),
    ]
    const [api, web, migrate] = images
    await send(images)
    expect(engine.packed).toEqual([images.map(({ id }) => id)])
    expect(node.sent.filter((digest) => digest === digestOf('base'))).toHaveLength(1)
    expect([...node.named.keys()].sort()).toEqual(
      [api, web, migrate]
        .map((image) => `docker.io/library/${image === undefined ? '' : reference(image)}`)
        .sort(),
    )
  })

  test('one image under two names', async () => {
    const image = engine.add(['base'])
    await send([
      [image, 'shop-api'],
      [image, 'ghcr.io/shop/worker'],
    ])
    const tag = `ds-${image.id.slice(7, 19)}`
    expect([...node.named.keys()].sort()).toEqual([`${API}:${tag}`, `ghcr.io/shop/worker:${tag}`].sort())
  })

  test('each of several nodes gets what it lacks itself, of one packing', async () => {
    const first = engine.add(['base', 'app'])
    await send([first])
    const two = new FakeNode('two')
    const three = new FakeNode('three')
    await send([first], [node, two])
    engine.packed.length = 0
    node.sent.length = 0
    const changed = engine.add(['base', 'app 2'])
    await send([changed], [node, two, three])
    expect(engine.packed).toHaveLength(1)
    expect(layersSent(['base', 'app 2'])).toEqual(['app 2'])
    expect(three.sent).toContain(digestOf('base'))
    for (const one of [node, two, three])
      expect(one.image(`docker.io/library/${reference(changed)}`).layers).toEqual(['base', 'app 2'])
  })

  test('a layer that the node threw out a moment before is sent after all', async () => {
    await send([engine.add(['base', 'app'])])
    node.forgets = [digestOf('base')]
    const changed = engine.add(['base', 'app 2'])
    await send([changed])
    expect(node.image(`docker.io/library/${reference(changed)}`).layers).toEqual(['base', 'app 2'])
    node.forgets = [digestOf('base')]
    const described = engine.add(['base', 'app 2'], 'A=3')
    await send([described])
    expect(node.image(`docker.io/library/${reference(described)}`).layers).toEqual(['base', 'app 2'])
  })

  test('what a node refuses twice is told with its own words', async () => {
    const image = engine.add(['base'])
    node.load = () =>
      Promise.resolve({
        write: () => Promise.resolve(),
        end: () => Promise.reject(new Error('no space left on device')),
        abort: () => undefined,
      })
    await expect(send([image])).rejects.toThrow('no space left on device')
  })

  test('it tells what is sent and how much of it', async () => {
    await send([engine.add(['base', 'app'])])
    expect(told[0]?.text).toBe('sending shop-api into the cluster')
    expect(told.at(-1)?.bytes).toBeGreaterThan(0)
  })

  describe('older builds', () => {
    const send2 = async (): Promise<readonly [string, string]> => {
      const [old, now] = [engine.add(['base', 'app']), engine.add(['base', 'app 2'])]
      await send([old])
      await send([now])
      return [`docker.io/library/${reference(old)}`, `docker.io/library/${reference(now)}`]
    }
    const prune = async (keep: readonly string[]): Promise<readonly string[]> =>
      await pruneNode(node, keep, stop.signal)

    test('are removed, with the name that the runtime gave them', async () => {
      const [old, now] = await send2()
      node.named.set('sha256:1111', node.named.get(old) ?? '')
      node.named.set('sha256:2222', node.named.get(now) ?? '')
      expect(await prune([now])).toEqual([old])
      expect([...node.named.keys()]).toEqual([now, 'sha256:2222'])
    })

    test('stay while a container is made from them, by whichever of their names', async () => {
      const [old, now] = await send2()
      node.named.set('sha256:1111', node.named.get(old) ?? '')
      node.inUse.add('sha256:1111')
      expect(await prune([now])).toEqual([])
    })

    test('of other stacks and of other people stay', async () => {
      const [old, now] = await send2()
      node.named.set(`${API}:1.0`, 'sha256:aaaa')
      node.named.set('docker.io/library/other-api:ds-0123456789ab', 'sha256:bbbb')
      expect(await prune([now])).toEqual([old])
      expect(node.named.has(`${API}:1.0`)).toBe(true)
      expect(node.named.has('docker.io/library/other-api:ds-0123456789ab')).toBe(true)
    })
  })
})
