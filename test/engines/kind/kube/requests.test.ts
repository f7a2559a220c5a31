import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DevstackError } from '../../../../src/core/error.js'
import { certificateAccess } from '../../../../src/engines/kind/kube/access.js'
import { isConflict, isExpired, KubeError } from '../../../../src/engines/kind/kube/errors.js'
import { createKube } from '../../../../src/engines/kind/kube/kube.js'
import { createTransport } from '../../../../src/engines/kind/kube/transport.js'
import type { Kube } from '../../../../src/engines/kind/kube-ports.js'
import { FakeApiServer, sendJson } from './fake-api-server.js'

const { signal } = new AbortController()
const PODS = '/api/v1/namespaces/shop/pods'

let server: FakeApiServer
let kube: Kube
beforeEach(async () => {
  server = await FakeApiServer.start()
  kube = createKube({ access: server.access, namespace: 'shop' })
  server.on('GET /apis/apps/v1', {
    resources: [
      { name: 'deployments', kind: 'Deployment', namespaced: true },
      { name: 'deployments/scale', kind: 'Scale', namespaced: true },
    ],
  })
  server.on('GET /api/v1', {
    resources: [
      { name: 'pods', kind: 'Pod', namespaced: true },
      { name: 'namespaces', kind: 'Namespace', namespaced: false },
    ],
  })
})
afterEach(() => server[Symbol.asyncDispose]())

const failure = <E extends DevstackError>(promise: Promise<unknown>): Promise<E> =>
  promise.then(
    () => {
      throw new Error('it should have failed')
    },
    (error: unknown) => error as E,
  )

const pod = (name: string) => ({ metadata: { name } })

describe('reading', () => {
  it('keeps one connection for many calls', async () => {
    server.on(`GET ${PODS}/a`, pod('a'))
    for (let i = 0; i < 20; i++) await kube.get(`${PODS}/a`, signal)
    expect(server.connections).toBe(1)
    expect(server.requests).toHaveLength(20)
  })

  it('gives null for what is not there', async () => {
    expect(await kube.get(`${PODS}/none`, signal)).toBeNull()
  })

  it('gives the items of a list the kind that only the list names', async () => {
    server.on(`GET ${PODS}`, {
      kind: 'PodList',
      apiVersion: 'v1',
      metadata: { resourceVersion: '7' },
      items: [pod('a')],
    })
    expect(await kube.list(PODS, { labelSelector: 'app=x' }, signal)).toEqual({
      items: [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } }],
      resourceVersion: '7',
    })
    expect(server.requests[0]?.query.get('labelSelector')).toBe('app=x')
  })

  it('asks once which kinds a group has, also where several want to know at once', async () => {
    const type = { apiVersion: 'v1', kind: 'Pod' }
    const paths = await Promise.all(['a', 'b', 'c'].map((name) => kube.path(type, name, signal)))
    expect(paths).toEqual([`${PODS}/a`, `${PODS}/b`, `${PODS}/c`])
    expect(server.requests.map(({ path }) => path)).toEqual(['/api/v1'])
  })

  it('asks which kinds a group has for itself where the one who asked first is stopped', async () => {
    const type = { apiVersion: 'v1', kind: 'Pod' }
    const first = new AbortController()
    const stopped = kube.path(type, 'a', first.signal)
    const second = kube.path(type, 'b', signal)
    first.abort(new Error('stopped'))
    await expect(stopped).rejects.toThrow('stopped')
    expect(await second).toBe(`${PODS}/b`)
  })

  it('asks once which kinds a group has, and once more for one that is not there yet', async () => {
    const deployment = { apiVersion: 'apps/v1', kind: 'Deployment' }
    expect(await kube.path(deployment, 'api', signal)).toBe('/apis/apps/v1/namespaces/shop/deployments/api')
    expect(await kube.path(deployment, null, signal)).toBe('/apis/apps/v1/namespaces/shop/deployments')
    expect(await kube.path({ apiVersion: 'v1', kind: 'Namespace' }, 'shop', signal)).toBe(
      '/api/v1/namespaces/shop',
    )
    expect(server.requests.map(({ path }) => path)).toEqual(['/apis/apps/v1', '/api/v1'])
    const own = { apiVersion: 'shop.test/v1', kind: 'Till' }
    expect(await kube.path(own, 'a', signal)).toBeNull()
    server.on('GET /apis/shop.test/v1', { resources: [{ name: 'tills', kind: 'Till', namespaced: true }] })
    expect(await kube.path(own, 'a', signal)).toBe('/apis/shop.test/v1/namespaces/shop/tills/a')
  })

  it('streams a log with its query', async () => {
    server.on(`GET ${PODS}/a/log`, (_request, response) => response.end('2026-01-01T00:00:00Z hello\n'))
    const options = {
      pod: 'a',
      container: 'api',
      follow: true,
      previous: false,
      sinceTime: null,
      tailLines: 5,
    }
    const log = await kube.logs(options, signal)
    const text = (await log.toArray()).join('')
    expect(text).toBe('2026-01-01T00:00:00Z hello\n')
    expect([...(server.requests[0]?.query ?? [])]).toEqual([
      ['container', 'api'],
      ['follow', 'true'],
      ['previous', 'false'],
      ['tailLines', '5'],
      ['timestamps', 'true'],
    ])
  })
})

describe('writing', () => {
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'api' } }
  const PATH = '/apis/apps/v1/namespaces/shop/deployments/api'

  it('applies as the manager devstack, by force, strictly', async () => {
    server.on(`PATCH ${PATH}`, deployment)
    await kube.apply(deployment, { dryRun: true }, signal)
    const request = server.requests.at(-1)
    expect(request).toMatchObject({ path: PATH, body: deployment })
    expect(request?.headers['content-type']).toBe('application/apply-patch+yaml')
    expect(Object.fromEntries(request?.query ?? [])).toEqual({
      fieldManager: 'devstack',
      fieldValidation: 'Strict',
      force: 'true',
      dryRun: 'All',
    })
  })

  it('says which kind the cluster does not know', async () => {
    const object = { apiVersion: 'shop.test/v1', kind: 'Till', metadata: { name: 'a' } }
    expect(await failure(kube.apply(object, { dryRun: false }, signal))).toMatchObject({
      code: 'OPERATION_FAILED',
      message: 'the cluster does not know Till a',
      why: 'it has no kind Till in shop.test/v1',
    })
  })

  it('writes nothing outside of its namespace, and sends no request for it', async () => {
    const elsewhere = { ...deployment, metadata: { name: 'api', namespace: 'other' } }
    await kube.path(deployment, null, signal)
    const before = server.requests.length
    const other = '/api/v1/namespaces/other'
    const background = { propagation: 'Background' } as const
    for (const attempt of [
      kube.apply(elsewhere, { dryRun: false }, signal),
      kube.create(`${other}/pods`, {}, signal),
      kube.patch(`${other}/pods/a`, 'merge', {}, signal),
      kube.delete(`${other}/pods/a`, background, signal),
      kube.delete(other, background, signal),
      kube.delete('/apis/apps/v1/namespaces/other/deployments/api', background, signal),
    ]) {
      expect((await failure(attempt)).why).toContain("the namespace other, and this stack's is shop")
    }
    expect(server.requests).toHaveLength(before)
  })

  it('deletes only the very object that is meant', async () => {
    server.on(`DELETE ${PATH}`, deployment)
    expect(await kube.delete(PATH, { propagation: 'Foreground', graceSeconds: 0, uid: 'u1' }, signal)).toBe(
      true,
    )
    expect(server.requests[0]?.body).toEqual({
      propagationPolicy: 'Foreground',
      gracePeriodSeconds: 0,
      preconditions: { uid: 'u1' },
    })
    server.onStatus(`DELETE ${PATH}`, 409, { reason: 'Conflict', message: 'Precondition failed: UID' })
    expect(await kube.delete(PATH, { propagation: 'Foreground', uid: 'u1' }, signal)).toBe(false)
    expect(isConflict(await failure(kube.delete(PATH, { propagation: 'Foreground' }, signal)))).toBe(true)
    expect(await kube.delete(`${PATH}x`, { propagation: 'Orphan' }, signal)).toBe(false)
  })
})

describe('a refusal', () => {
  const apply = () => {
    const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } }
    return failure<KubeError>(kube.apply(object, { dryRun: false }, signal))
  }

  it('tells message, reason and every cause with its field', async () => {
    server.onStatus(`PATCH ${PODS}/a`, 422, {
      reason: 'Invalid',
      message: 'Pod "a" is invalid',
      details: {
        causes: [
          { field: 'spec.containers[0].image', message: 'Required value', reason: 'FieldValueRequired' },
          { field: 'spec.restartPolicy', message: 'Unsupported value: "x"' },
        ],
      },
    })
    const error = await apply()
    expect(error).toBeInstanceOf(KubeError)
    expect(error).toMatchObject({ code: 'OPERATION_FAILED', status: 422, reason: 'Invalid' })
    expect(error.message).toBe('the cluster refused to apply Pod a')
    expect(error.why).toBe(
      '422 Invalid: Pod "a" is invalid\nspec.containers[0].image: Required value\nspec.restartPolicy: Unsupported value: "x"',
    )
    expect(error.fields).toEqual(['spec.containers[0].image', 'spec.restartPolicy'])
  })

  it.each([
    [
      'strict decoding error: unknown field "spec.foo", unknown field "spec.bar.baz"',
      ['spec.foo', 'spec.bar.baz'],
    ],
    [
      'failed to create typed patch object (shop/a; v1, Kind=Pod): errors:\n  .spec.foo: field not declared in schema\n  .spec.bar: field not declared in schema',
      ['spec.foo', 'spec.bar'],
    ],
  ])('of unknown fields names each (%#)', async (message, fields) => {
    server.onStatus(`PATCH ${PODS}/a`, 400, { reason: 'BadRequest', message })
    expect((await apply()).fields).toEqual(fields)
  })

  it('of unknown fields, which an apply names one by one, is asked for again so that it names all', async () => {
    const undeclared = { message: '.spec.foo: field not declared in schema' }
    server.onStatus(`PATCH ${PODS}/a`, 500, undeclared)
    const message = 'strict decoding error: unknown field "spec.foo", unknown field "spec.bar"'
    server.onStatus(`POST ${PODS}`, 400, { reason: 'BadRequest', message })
    expect(await apply()).toMatchObject({ status: 400, fields: ['spec.foo', 'spec.bar'] })
    const asked = server.requests.at(-1)
    expect(asked?.query.get('dryRun')).toBe('All')
    server.onStatus(`POST ${PODS}`, 409, { reason: 'AlreadyExists', message: 'it is there' })
    expect(await apply()).toMatchObject({ status: 500, fields: ['spec.foo'] })
  })

  it('that is no Status, as a proxy sends it, is told by its beginning', async () => {
    server.on(`PATCH ${PODS}/a`, (_request, response) => response.writeHead(502).end('<h1>Bad gateway</h1>'))
    expect((await apply()).why).toBe('502: <h1>Bad gateway</h1>')
  })

  it('that asks for patience is waited for', async () => {
    let asked = 0
    server.on(`GET ${PODS}/a`, (_request, response) => {
      if (++asked === 2) sendJson(response, 200, pod('a'))
      else response.writeHead(429, { 'Retry-After': '0' }).end('{}')
    })
    expect(await kube.get(`${PODS}/a`, signal)).toEqual(pod('a'))
  })

  it('of an old version is told apart', async () => {
    server.onStatus(`GET ${PODS}`, 410, { reason: 'Expired', message: 'too old resource version: 1 (7)' })
    const error = await failure(kube.list(PODS, {}, signal))
    expect(isExpired(error)).toBe(true)
    expect(error.why).toContain('410')
  })
})

describe('a server that is not there', () => {
  it('is told as gone, with its address', async () => {
    const { identity } = server
    await server[Symbol.asyncDispose]()
    const gone = createKube({ access: certificateAccess(identity), namespace: 'shop' })
    const error = await failure(gone.get(PODS, signal))
    expect(error).toMatchObject({ code: 'ENGINE_GONE', message: 'the cluster does not answer' })
    expect(error.why).toContain(identity.server)
    server = await FakeApiServer.start()
  })

  it('is given up when it accepts and says nothing', async () => {
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    const access = certificateAccess({ ...server.identity, server: `https://127.0.0.1:${String(port)}` })
    const transport = createTransport(access, { dialMs: 50, answerMs: 50 })
    const error = await failure(transport.call({ method: 'GET', path: '/', doing: 'read' }, signal))
    expect(error).toMatchObject({ code: 'ENGINE_GONE' })
    expect(error.why).toContain('no connection within 0.05 s')
    silent.close()
  })

  it('is given up when it never answers, or stops half-way', async () => {
    const transport = createTransport(server.access, { dialMs: 2000, answerMs: 60 })
    const read = (path: string) => failure(transport.call({ method: 'GET', path, doing: 'read' }, signal))
    server.on('GET /never', () => undefined)
    server.on('GET /half', (_request, response) => response.writeHead(200).write('{"a":'))
    expect((await read('/never')).why).toContain('no answer within 0.06 s')
    expect((await read('/half')).why).toContain('the answer stopped within 0.06 s')
  })

  it('under another authority gets no request', async () => {
    await using other = await FakeApiServer.start()
    const access = certificateAccess({ ...server.identity, server: other.identity.server })
    const error = await failure(createKube({ access, namespace: 'shop' }).get(PODS, signal))
    expect(error).toMatchObject({
      code: 'ENGINE_GONE',
      message: 'another server answers in the place of the cluster',
    })
    expect(other.requests).toEqual([])
  })

  it('for a moment only, behind a kept connection, is asked again for what can do no harm twice', async () => {
    server.on(`GET ${PODS}/a`, pod('a'))
    server.on(`POST ${PODS}`, pod('b'))
    await kube.get(`${PODS}/a`, signal)
    let broken = false
    server.on(`GET ${PODS}/a`, (_request, response) => {
      if (broken) sendJson(response, 200, pod('a'))
      else response.socket?.destroy()
      broken = true
    })
    expect(await kube.get(`${PODS}/a`, signal)).toEqual(pod('a'))
    server.on(`POST ${PODS}`, (_request, response) => response.socket?.destroy())
    expect(await failure(kube.create(PODS, {}, signal))).toMatchObject({ code: 'ENGINE_GONE' })
    expect(server.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
  })

  it('is not waited for after an abort, whose reason is thrown', async () => {
    const controller = new AbortController()
    server.on('GET /never', () => controller.abort(new Error('enough')))
    await expect(kube.get('/never', controller.signal)).rejects.toThrow('enough')
    await expect(kube.get('/never', controller.signal)).rejects.toThrow('enough')
  })
})
