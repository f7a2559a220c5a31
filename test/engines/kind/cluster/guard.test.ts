import { chownSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DevstackError } from '../../../../src/core/error.js'
import { proveOurs } from '../../../../src/engines/kind/cluster/guard.js'
import { createKube } from '../../../../src/engines/kind/kube/kube.js'
import type { KubeIdentity } from '../../../../src/engines/kind/kube/access.js'
import { createAuthority } from '../certificates.js'
import { FakeApiServer } from '../kube/fake-api-server.js'
import { ClusterFolder, FakeNodes, kindConfig, node } from './cluster-world.js'

const { signal } = new AbortController()

// The cluster, and another one: production. Both are real TLS servers, and count who connects.
let ours: FakeApiServer
let production: FakeApiServer
let folder: ClusterFolder
let containers: FakeNodes
let identity: KubeIdentity

beforeEach(async () => {
  ours = await FakeApiServer.start()
  production = await FakeApiServer.start()
  folder = new ClusterFolder()
  containers = new FakeNodes()
  ;({ identity } = ours)
  containers.nodes = [node({ api: { host: '127.0.0.1', port: portOf(identity) } })]
  containers.authorities.set('c0ffee', identity.ca)
  folder.writeConfig(kindConfig(identity))
})
afterEach(async () => {
  folder[Symbol.dispose]()
  await ours[Symbol.asyncDispose]()
  await production[Symbol.asyncDispose]()
})

const portOf = ({ server }: KubeIdentity): number => Number(new URL(server).port)
const prove = () => proveOurs({ name: 'devstack', places: folder.places, containers }, signal)

async function refusal(): Promise<string> {
  const error = await prove().then(
    () => {
      throw new Error('it should have been refused')
    },
    (error: unknown) => error as DevstackError,
  )
  expect(error).toMatchObject({ code: 'STATE_FOREIGN' })
  expect([ours.connections, production.connections]).toEqual([0, 0])
  return error.why ?? ''
}

describe('a cluster of ours', () => {
  it('is proven without a connection, and then talked to', async () => {
    const { access } = await prove()
    expect(ours.connections).toBe(0)
    ours.on('GET /version', { major: '1' })
    expect(await createKube({ access, namespace: 'shop' }).get('/version', signal)).toEqual({ major: '1' })
    expect(ours.connections).toBe(1)
  })

  it('is looked into once for each node container', async () => {
    await prove()
    await prove()
    expect(containers.reads).toBe(1)
    containers.nodes = [node({ id: 'decaf', api: { host: '127.0.0.1', port: portOf(identity) } })]
    containers.authorities.set('decaf', identity.ca)
    await prove()
    expect(containers.reads).toBe(2)
  })

  it('of several nodes is reached through the one that publishes its API server', async () => {
    const api = { host: '127.0.0.1', port: portOf(identity) }
    containers.nodes = [node(), node({ id: 'balancer', role: 'external-load-balancer', api })]
    await prove()
    containers.nodes = [node(), node({ id: 'worker', role: 'worker', api })]
    expect(await refusal()).toContain('none of its node containers publishes')
  })

  it('stays what was proven, whatever is then written into its kubeconfig', async () => {
    const { access } = await prove()
    folder.writeConfig(kindConfig(production.identity))
    ours.on('GET /version', { major: '1' })
    await createKube({ access, namespace: 'shop' }).get('/version', signal)
    expect(production.connections).toBe(0)
  })
})

describe('gets no request: a kubeconfig', () => {
  type Config = ReturnType<typeof kindConfig>
  interface Loose {
    clusters: { name: string; cluster: Record<string, unknown> }[]
    users: { name: string; user: Record<string, unknown> }[]
    contexts: { name: string; context: Record<string, unknown> }[]
    [key: string]: unknown
  }
  const spoofed = async (change: (config: Loose) => void): Promise<string> => {
    const config = structuredClone(kindConfig(identity)) as Config & Loose
    change(config)
    folder.writeConfig(config)
    return refusal()
  }
  const ofCluster = (fields: object) => (config: Loose) =>
    Object.assign(config.clusters[0]?.cluster ?? {}, fields)
  const ofUser = (fields: object) => (config: Loose) => Object.assign(config.users[0]?.user ?? {}, fields)

  it.each([
    [
      'another port of this machine',
      () => production.identity.server,
      'none of its node containers publishes',
    ],
    ['a host name', () => identity.server.replace('127.0.0.1', 'localhost'), 'not this machine'],
    ['a name that begins like this machine', () => 'https://127.0.0.1.example.com:6443', 'not this machine'],
    ['another machine', () => 'https://10.1.2.3:6443', 'not this machine'],
    [
      'this machine by a user name before another',
      () => 'https://127.0.0.1:6443@10.1.2.3:6443',
      'not this machine',
    ],
    ['plain http', () => identity.server.replace('https', 'http'), 'not https'],
    ['a path', () => `${identity.server}/k8s/clusters/prod`, 'more than host and port'],
    ['no port', () => 'https://127.0.0.1', 'no port'],
  ])('with %s as its server', async (_name, server, why) => {
    expect(await spoofed(ofCluster({ server: server() }))).toContain(why)
  })

  it.each([
    ['a proxy', ofCluster({ 'proxy-url': 'http://127.0.0.1:1' }), 'proxy-url'],
    ['an unchecked server', ofCluster({ 'insecure-skip-tls-verify': true }), 'insecure-skip-tls-verify'],
    ['another server name', ofCluster({ 'tls-server-name': 'prod' }), 'tls-server-name'],
    ['an authority in a file', ofCluster({ 'certificate-authority': '/etc/ca' }), 'certificate-authority'],
    ['a program that gives tokens', ofUser({ exec: { command: 'aws' } }), 'exec'],
    ['a token', ofUser({ token: 'secret' }), 'token'],
    ['a token file', ofUser({ tokenFile: '/tmp/token' }), 'tokenFile'],
    ['a password', ofUser({ username: 'a', password: 'b' }), 'username, password'],
    ['somebody to act as', ofUser({ as: 'admin' }), 'as'],
    ['a provider', ofUser({ 'auth-provider': { name: 'oidc' } }), 'auth-provider'],
  ])('with %s', async (_name, change, why) => {
    expect(await spoofed(change)).toContain(`has ${why}`)
  })

  it('with a second context, cluster or user', async () => {
    for (const list of ['contexts', 'clusters', 'users'] as const) {
      const why = await spoofed((config) => {
        const [first] = config[list]
        ;(config[list] as object[]).push({ ...first, name: 'prod' })
      })
      expect(why).toContain(`it has 2 ${list} and not one`)
    }
  })

  it('whose current context was switched, or is called kind-prod', async () => {
    expect(await spoofed((config) => (config['current-context'] = 'prod'))).toContain(
      'current-context is prod',
    )
    folder.writeConfig(kindConfig(production.identity, 'kind-prod'))
    expect(await refusal()).toContain('its cluster is kind-prod and not kind-devstack')
  })

  it('with another authority, alone or beside ours', async () => {
    const foreign = createAuthority('prod').cert
    for (const ca of [foreign, identity.ca + foreign]) {
      folder.writeConfig(kindConfig({ ...identity, ca }))
      expect(await refusal()).toContain(
        'the authority in the kubeconfig is not that of devstack-control-plane',
      )
    }
  })

  it('with another authority, also when the node was looked into before', async () => {
    await prove()
    folder.writeConfig(kindConfig({ ...identity, ca: createAuthority('prod').cert }))
    expect(await refusal()).toContain('the authority in the kubeconfig')
  })

  it('that says a thing twice, by an alias, or is no YAML', async () => {
    const doubled = JSON.stringify(kindConfig(identity)).replace(
      '"server"',
      '"server":"https://prod:6443","server"',
    )
    folder.writeConfig(doubled)
    expect(await refusal()).toContain('it is not YAML')
    folder.writeConfig('a: &a [x]\nb: *a\n')
    expect(await refusal()).toContain('it is not YAML')
    folder.writeConfig('"')
    expect(await refusal()).toContain('it is not YAML')
    folder.writeConfig('x'.repeat(70_000))
    expect(await refusal()).toContain('70000 bytes')
  })

  it('that is a link, open to others, or not there', async () => {
    const { kubeconfig } = folder.places
    folder.writeConfig(kindConfig(identity), 0o644)
    expect(await refusal()).toContain('has mode 644 and not 600')
    folder.writeConfig(kindConfig(identity))
    renameSync(kubeconfig, join(folder.root, 'elsewhere'))
    symlinkSync(join(folder.root, 'elsewhere'), kubeconfig)
    expect(await refusal()).toContain('is a link')
    rmSync(kubeconfig)
    expect(await refusal()).toContain('is not there')
  })

  it.runIf(process.getuid?.() === 0)('that belongs to somebody else', async () => {
    chownSync(folder.places.kubeconfig, 12_345, 12_345)
    expect(await refusal()).toContain('belongs to user 12345')
  })

  it('of a cluster that has no node here, or none that runs, or none with an authority', async () => {
    containers.authorities.clear()
    expect(await refusal()).toContain('has no /etc/kubernetes/pki/ca.crt')
    containers.nodes = [node()]
    expect(await refusal()).toContain('none of its node containers publishes')
    containers.nodes = []
    expect(await refusal()).toContain('it has no node container in this engine')
  })

  it('whose port is published to the network under the same number', async () => {
    containers.nodes = [node({ api: { host: '0.0.0.0', port: portOf(identity) } })]
    expect(await refusal()).toContain('none of its node containers publishes')
  })
})
