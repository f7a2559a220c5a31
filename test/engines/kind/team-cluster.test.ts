import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DevstackError } from '../../../src/core/error.js'
import { openTeamCluster } from '../../../src/engines/kind/team-cluster.js'
import type { TeamClusterRequest } from '../../../src/engines/kind/team-cluster.js'
import { FakeApiServer } from './kube/fake-api-server.js'

const { signal } = new AbortController()
const NAMESPACE = '/api/v1/namespaces/shop-ada'

// The team's cluster, and production: both count who connects.
let team: FakeApiServer
let production: FakeApiServer
let folder: string
beforeEach(async () => {
  team = await FakeApiServer.start()
  production = await FakeApiServer.start()
  folder = mkdtempSync(join(tmpdir(), 'devstack-team-'))
})
afterEach(async () => {
  rmSync(folder, { recursive: true })
  await team[Symbol.asyncDispose]()
  await production[Symbol.asyncDispose]()
})

/** The user's own file: production is its current context. */
function kubeconfig(clusterOfTeam: object = {}): string {
  const encode = (text: string): string => Buffer.from(text).toString('base64')
  const entry = (name: string, { identity }: FakeApiServer, more: object = {}) => ({
    cluster: {
      name,
      cluster: { server: identity.server, 'certificate-authority-data': encode(identity.ca), ...more },
    },
    user: {
      name,
      user: {
        'client-certificate-data': encode(identity.cert),
        'client-key-data': encode(identity.key),
      },
    },
    context: { name, context: { cluster: name, user: name } },
  })
  const entries = [entry('prod', production), entry('team-dev', team, clusterOfTeam)]
  const file = join(folder, 'config')
  writeFileSync(
    file,
    JSON.stringify({
      'current-context': 'prod',
      clusters: entries.map(({ cluster }) => cluster),
      users: entries.map(({ user }) => user),
      contexts: entries.map(({ context }) => context),
    }),
  )
  return file
}

const request = (more: Partial<TeamClusterRequest> = {}): TeamClusterRequest => ({
  kubeconfigs: more.kubeconfigs ?? [kubeconfig()],
  context: 'team-dev',
  server: team.identity.server,
  namespace: 'shop-ada',
  project: 'shop',
  owner: 'ada 0123',
  at: (key) => Promise.resolve({ file: '/shop/devstack.yaml', line: LINES[key], column: 12 }),
  ...more,
})

async function refusal(more: Partial<TeamClusterRequest> = {}): Promise<DevstackError> {
  const error: unknown = await openTeamCluster(request(more), signal).catch((error: unknown) => error)
  return error as DevstackError
}

const LINES = { context: 3, server: 4, namespace: 5 }
const asked = (): readonly string[] => team.requests.map(({ method, path }) => `${method} ${path}`)

describe('a cluster that somebody else runs', () => {
  it('is asked one thing, whose the namespace is; production is asked nothing', async () => {
    expect(await openTeamCluster(request(), signal)).toMatchObject({ name: 'team-dev', nodes: [] })
    expect(asked()).toEqual([`GET ${NAMESPACE}`])
    expect(production.connections).toBe(0)
  })

  it.each([
    [{ context: 'team' }, 'there is no context team', 3],
    [{ server: 'https://10.0.0.5:6443' }, 'the context team-dev leads to another server', 4],
    // It names the team's server, and the context leads to production.
    [{ context: 'prod' }, 'the context prod leads to another server', 4],
  ])('%j gets no request, and is told at its place', async (more, message, line) => {
    const error = await refusal(more)
    expect(error).toMatchObject({
      code: 'CONFIG_INVALID',
      message,
      at: { file: '/shop/devstack.yaml', line },
    })
    expect(error.why).not.toBeNull()
    expect(error.hint).not.toBeNull()
    expect(team.connections + production.connections).toBe(0)
  })

  it('that does not prove itself gets no request', async () => {
    const kubeconfigs = [kubeconfig({ 'insecure-skip-tls-verify': true })]
    expect(await refusal({ kubeconfigs })).toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'the context team-dev does not prove its server',
    })
    expect(team.connections).toBe(0)
  })

  it('with another certificate than the context knows gets no request', async () => {
    const authority = Buffer.from(production.identity.ca).toString('base64')
    const kubeconfigs = [kubeconfig({ 'certificate-authority-data': authority })]
    expect(await refusal({ kubeconfigs })).toMatchObject({
      code: 'ENGINE_GONE',
      message: 'another server answers in the place of the cluster',
    })
    expect(asked()).toEqual([])
  })
})

const namespace = (labels: object, annotations: object): object => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'shop-ada', labels, annotations },
})
const LABELS = { 'app.kubernetes.io/managed-by': 'devstack', 'devstack.dev/project': 'shop' }

describe('a namespace that is there', () => {
  it('is used where this worktree made it', async () => {
    team.on(`GET ${NAMESPACE}`, namespace(LABELS, { 'devstack.dev/owner': 'ada 0123' }))
    await expect(openTeamCluster(request(), signal)).resolves.toMatchObject({ name: 'team-dev' })
  })

  it.each([
    ["somebody's, also an empty one", {}, {}, 'devstack did not make it: it does not carry our label'],
    [
      "another developer's of the same project",
      LABELS,
      { 'devstack.dev/owner': 'eve 4567', 'devstack.dev/worktree': '/home/eve/shop' },
      'devstack made it for the stack shop of eve in /home/eve/shop',
    ],
    ['made by hand, with our label', LABELS, {}, 'devstack made it for the stack shop'],
    [
      "another stack's of this user",
      { ...LABELS, 'devstack.dev/project': 'till' },
      { 'devstack.dev/owner': 'ada 0123' },
      'devstack made it for the stack till of ada',
    ],
  ])('is left alone: %s', async (_, labels, annotations, why) => {
    team.on(`GET ${NAMESPACE}`, namespace(labels, annotations))
    expect(await refusal()).toMatchObject({
      code: 'STATE_FOREIGN',
      message: 'the namespace shop-ada is not of this stack, and is left alone',
      why,
      at: { line: 5 },
    })
    expect(asked()).toEqual([`GET ${NAMESPACE}`])
  })
})
