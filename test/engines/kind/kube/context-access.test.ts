import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { contextAccess } from '../../../../src/engines/kind/kube/context-access.js'
import { createKube } from '../../../../src/engines/kind/kube/kube.js'
import { FakeApiServer } from './fake-api-server.js'

const { signal } = new AbortController()

let server: FakeApiServer
let folder: string
beforeEach(async () => {
  server = await FakeApiServer.start()
  server.on('GET /version', { major: '1' })
  folder = mkdtempSync(join(tmpdir(), 'devstack-context-'))
})
afterEach(async () => {
  rmSync(folder, { recursive: true })
  await server[Symbol.asyncDispose]()
})

/** The user's own file, whose current context is production. */
function write(user: object, cluster: object = {}): string {
  const { identity } = server
  const encode = (text: string): string => Buffer.from(text).toString('base64')
  const certificate = {
    'client-certificate-data': encode(identity.cert),
    'client-key-data': encode(identity.key),
  }
  const authority = { 'certificate-authority-data': encode(identity.ca) }
  const file = join(folder, 'config')
  const config = {
    'current-context': 'prod',
    contexts: [
      { name: 'prod', context: { cluster: 'prod', user: 'prod' } },
      { name: 'team', context: { cluster: 'team', user: 'me' } },
    ],
    clusters: [
      { name: 'prod', cluster: { server: 'https://127.0.0.1:1' } },
      { name: 'team', cluster: { server: identity.server, ...authority, ...cluster } },
    ],
    users: [
      { name: 'prod', user: {} },
      { name: 'me', user: { ...certificate, ...user } },
    ],
  }
  writeFileSync(file, JSON.stringify(config))
  return file
}

const open = (file: string, more: object = {}) =>
  contextAccess({ kubeconfigs: [file], context: 'team', server: server.identity.server, ...more })

describe('a context that devstack.yaml names', () => {
  it('is used, and the current one is not', async () => {
    const kube = createKube({ access: await open(write({ token: 'secret' })), namespace: 'ada' })
    for (let i = 0; i < 3; i++) expect(await kube.get('/version', signal)).toEqual({ major: '1' })
    expect(server.connections).toBe(1)
    expect(server.requests[0]?.headers.authorization).toBe('Bearer secret')
  })

  it('may get its token from a program', async () => {
    const answer = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'fresh' },
    }
    const exec = { apiVersion: answer.apiVersion, command: 'echo', args: [JSON.stringify(answer)] }
    await createKube({ access: await open(write({ exec })), namespace: 'ada' }).get('/version', signal)
    expect(server.requests[0]?.headers.authorization).toBe('Bearer fresh')
  })

  it('that is not there, leads elsewhere or proves nothing gets no request', async () => {
    await expect(open(write({}), { context: 'tea' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'there is no context tea',
    })
    await expect(open(write({}), { server: 'https://cluster.test' })).rejects.toMatchObject({
      message: 'the context team leads to another server',
    })
    await expect(open(write({}, { 'insecure-skip-tls-verify': true }))).rejects.toMatchObject({
      message: 'the context team does not prove its server',
    })
    await expect(open(join(folder, 'none'))).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    expect(server.connections).toBe(0)
  })
})
