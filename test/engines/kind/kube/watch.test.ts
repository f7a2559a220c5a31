import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ServerResponse } from 'node:http'
import { isExpired } from '../../../../src/engines/kind/kube/errors.js'
import { createKube } from '../../../../src/engines/kind/kube/kube.js'
import type { Kube, KubeObject, WatchEvent } from '../../../../src/engines/kind/kube-ports.js'
import { FakeApiServer } from './fake-api-server.js'

const PODS = '/api/v1/namespaces/shop/pods'
const { signal } = new AbortController()

let server: FakeApiServer
let kube: Kube
beforeEach(async () => {
  server = await FakeApiServer.start()
  kube = createKube({ access: server.access, namespace: 'shop' })
})
afterEach(() => server[Symbol.asyncDispose]())

const event = (type: string, name: string) =>
  JSON.stringify({ type, object: { apiVersion: 'v1', kind: 'Pod', metadata: { name } } }) + '\n'

const answer = (write: (response: ServerResponse) => void) =>
  server.on(`GET ${PODS}`, (_request, response) => {
    response.writeHead(200)
    write(response)
  })

const watch = (asked = signal) => kube.watch(PODS, { resourceVersion: '7', labelSelector: 'a=b' }, asked)

async function collect(stream: AsyncIterable<WatchEvent<KubeObject>>): Promise<string[]> {
  const seen: string[] = []
  for await (const { type, object } of stream) seen.push(`${type} ${object.metadata.name}`)
  return seen
}

describe('a watch', () => {
  it('goes on from a version, asks for bookmarks, and ends when the server ends it', async () => {
    answer((response) => response.end(event('ADDED', 'a') + event('BOOKMARK', '') + event('DELETED', 'a')))
    expect(await collect(watch())).toEqual(['ADDED a', 'BOOKMARK ', 'DELETED a'])
    expect(Object.fromEntries(server.requests[0]?.query ?? [])).toEqual({
      resourceVersion: '7',
      labelSelector: 'a=b',
      watch: 'true',
      allowWatchBookmarks: 'true',
    })
  })

  it('puts together what the network cuts anywhere, also within a character', async () => {
    const bytes = Buffer.from(event('ADDED', 'käse-🧀') + event('MODIFIED', 'b'))
    answer((response) => {
      response.socket?.setNoDelay(true)
      const send = (at: number): void => {
        if (at >= bytes.length) response.end()
        else response.write(bytes.subarray(at, at + 1), () => send(at + 1))
      }
      send(0)
    })
    expect(await collect(watch())).toEqual(['ADDED käse-🧀', 'MODIFIED b'])
  })

  it('tells that its version is too old, at once or on the way', async () => {
    const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }
    answer((response) =>
      response.end(event('ADDED', 'a') + JSON.stringify({ type: 'ERROR', object: status }) + '\n'),
    )
    const seen: string[] = []
    const error: unknown = await (async () => {
      for await (const { object } of watch()) seen.push(object.metadata.name)
    })().catch((error: unknown) => error)
    expect(seen).toEqual(['a'])
    expect(isExpired(error)).toBe(true)
    server.onStatus(`GET ${PODS}`, 410, status)
    expect(isExpired(await collect(watch()).catch((error: unknown) => error))).toBe(true)
  })

  it('that breaks is told as a server that is gone', async () => {
    answer((response) => response.write(event('ADDED', 'a'), () => response.socket?.destroy()))
    await expect(collect(watch())).rejects.toMatchObject({ code: 'ENGINE_GONE' })
  })

  it('ends with the reason of its abort', async () => {
    const controller = new AbortController()
    answer((response) => response.write(event('ADDED', 'a')))
    const reading = (async () => {
      for await (const _ of watch(controller.signal)) controller.abort(new Error('enough'))
    })()
    await expect(reading).rejects.toThrow('enough')
  })

  it('that nobody reads any more lets its connection go', async () => {
    const closed = new Promise<void>((resolve) => {
      answer((response) => {
        response.on('close', resolve)
        response.write(event('ADDED', 'a'))
      })
    })
    for await (const _ of watch()) break
    await closed
  })
})
