import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Progress } from '../../../../src/core/events.js'
import { createDocker } from '../../../../src/engines/compose/docker.js'
import type { EngineImage } from '../../../../src/engines/images/engine.js'
import { registrySupply } from '../../../../src/engines/kind/registry/supply.js'
import type { ImageSupply } from '../../../../src/engines/kind/images/supply.js'
import { startFakeDocker } from '../../compose/fake-docker.js'
import type { FakeDocker } from '../../compose/fake-docker.js'

const { signal } = new AbortController()
const REGISTRY = 'registry.team.example/shop'
const ID = `sha256:${'0123456789ab'.padEnd(64, 'f')}`

const image = (more: Partial<EngineImage> = {}): EngineImage => ({
  id: ID,
  tags: [],
  digests: [],
  labels: {},
  size: 1,
  ...more,
})

let engine: FakeDocker
let folder: string
let told: Progress[]
beforeEach(async () => {
  engine = await startFakeDocker()
  folder = mkdtempSync(join(tmpdir(), 'devstack-supply-'))
  told = []
})
afterEach(async () => {
  await engine.dispose()
  rmSync(folder, { recursive: true })
})

const supply = (): ImageSupply =>
  registrySupply(createDocker(engine.endpoint), { name: REGISTRY, env: { DOCKER_CONFIG: folder } })

describe('what pods call an image', () => {
  it('is a name of its own in the registry, until the registry has said its digest', () => {
    expect(supply().reference('shop-api', image())).toBe(`${REGISTRY}/shop-api:ds-0123456789ab`)
    const digests = ['elsewhere.example/shop-api@sha256:1', `${REGISTRY}/shop-api@sha256:2`]
    expect(supply().reference('shop-api', image({ digests }))).toBe(`${REGISTRY}/shop-api@sha256:2`)
  })

  it('has the path that it has here', () => {
    expect(supply().reference('devstack/postgres:17', image())).toMatch(/shop\/devstack\/postgres:ds-/)
    expect(supply().reference('localhost:5000/a/b:1', image())).toMatch(/shop\/a\/b:ds-/)
  })

  it('is that of the registry that it came from', () => {
    const digests = ['postgres@sha256:1']
    expect(supply().reference('postgres:17', image({ digests }))).toBe('postgres@sha256:1')
  })

  it('is in the registry for what was made here, though the engine has a digest for that too', () => {
    const built = image({ digests: ['shop-api@sha256:1'], labels: { 'dev.devstack.build': 'x' } })
    expect(supply().reference('shop-api', built)).toBe(`${REGISTRY}/shop-api:ds-0123456789ab`)
  })
})

const NODE = `${REGISTRY}/shop-api:ds-0123456789ab`
const bring = (by = supply(), node = NODE) =>
  by.bring(
    {
      cluster: {
        name: 'team',
        nodes: [],
        access: { server: '', credentials: () => Promise.reject(new Error()) },
      },
      images: [{ local: 'shop-api', id: ID, node }],
      progress: (progress) => told.push(progress),
    },
    signal,
  )
/** What the engine says of a push, and with which login it was asked. */
function pushes(...lines: readonly object[]): { readonly logins: unknown[] } {
  const logins: unknown[] = []
  engine.answers[`/images/${ID}/tag`] = (response: ServerResponse) => response.writeHead(201).end()
  engine.answers[`/images/${REGISTRY}/shop-api/push`] = (response: ServerResponse) => {
    const header = response.req.headers['x-registry-auth']
    logins.push(JSON.parse(Buffer.from(String(header), 'base64url').toString()))
    response.end(lines.map((line) => `${JSON.stringify(line)}\r\n`).join(''))
  }
  return { logins }
}

describe('bringing images', () => {
  it("pushes what was made here, with docker's login, and tells how far it is", async () => {
    const auth = Buffer.from('ada:secret').toString('base64')
    const auths = { 'registry.team.example': { auth } }
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths }))
    const { logins } = pushes(
      { status: 'The push refers to repository' },
      { id: 'a', status: 'Layer already exists' },
      { id: 'b', status: 'Pushing', progressDetail: { current: 10, total: 100 } },
      { id: 'b', status: 'Pushed' },
    )
    expect(await bring()).toEqual({ any: true, renamed: true })
    expect(engine.asked).toEqual([
      `/images/${ID}/tag?repo=${encodeURIComponent(`${REGISTRY}/shop-api`)}&tag=ds-0123456789ab`,
      `/images/${REGISTRY}/shop-api/push?tag=ds-0123456789ab`,
    ])
    expect(logins).toEqual([{ username: 'ada', password: 'secret', serveraddress: 'registry.team.example' }])
    expect(told[0]?.text).toBe(`pushing shop-api to ${REGISTRY}`)
  })

  it('pushes an image once', async () => {
    pushes()
    const by = supply()
    await bring(by)
    const asked = engine.asked.length
    expect(await bring(by)).toEqual({ any: false, renamed: false })
    expect(engine.asked.length).toBe(asked)
  })

  it('leaves to the nodes what another registry has', async () => {
    expect(await bring(supply(), 'postgres@sha256:1')).toEqual({ any: false, renamed: false })
    expect(engine.asked).toEqual([])
  })

  it.each([
    ['unauthorized: authentication required', 'does not let you push', 'docker login registry.team.example'],
    ['denied: requested access to the resource is denied', 'does not let you push', 'docker login'],
    ['dial tcp 10.0.0.9:443: connect: connection refused', 'did not take', 'reaches registry.team.example'],
    ['http: server gave HTTP response to HTTPS client', 'did not take', 'insecure-registries'],
    ['x509: certificate signed by unknown authority', 'did not take', 'certs.d/registry.team.example'],
    ['write /var/lib: no space left on device', 'has no room for', 'remove old tags'],
  ])('that is refused (%s) says so', async (error, message, hint) => {
    pushes({ errorDetail: { message: error }, error })
    await expect(bring()).rejects.toMatchObject({
      code: 'OPERATION_FAILED',
      message: expect.stringContaining(message) as unknown,
      why: error,
      hint: expect.stringContaining(hint) as unknown,
    })
  })
})

it('names of earlier builds go, and those of other images stay', async () => {
  const removed: string[] = []
  const name = (tag: string): string => `${REGISTRY}/shop-api:${tag}`
  const tags = [name('ds-0123456789ab'), name('ds-aaaaaaaaaaaa'), name('v1'), 'shop-api:latest']
  engine.answers['/images/json'] = [{ Id: 'x', RepoTags: tags }]
  for (const tag of tags)
    engine.answers[`/images/${tag}`] = (response: ServerResponse) => {
      removed.push(tag)
      response.end('[]')
    }
  const keep = [{ local: 'shop-api', id: ID, node: NODE }]
  await supply().prune(
    { name: 'team', nodes: [], access: { server: '', credentials: () => Promise.reject(new Error()) } },
    keep,
    signal,
  )
  expect(removed).toEqual([name('ds-aaaaaaaaaaaa')])
})
