import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { registryCredentials } from '../../../../src/engines/kind/registry/credentials.js'

const { signal } = new AbortController()
const HOST = 'registry.team.example'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'devstack-login-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const config = (content: object | string): void =>
  writeFileSync(join(folder, 'config.json'), typeof content === 'string' ? content : JSON.stringify(content))
/** A program as Docker starts it. */
const helper = (name: string, script: string): void => {
  const file = join(folder, `docker-credential-${name}`)
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
}
const login = (host = HOST) =>
  registryCredentials(host, { DOCKER_CONFIG: folder, PATH: `${folder}:${process.env['PATH'] ?? ''}` }, signal)
const encoded = (text: string): string => Buffer.from(text).toString('base64')

describe('what docker login kept', () => {
  it('is nothing where there is no file, or the registry is not in it', async () => {
    expect(await login()).toBeNull()
    config({ auths: { 'other.example': { auth: encoded('ada:x') } } })
    expect(await login()).toBeNull()
  })

  it('is a name and a password, which may have a colon in it', async () => {
    config({ auths: { [HOST]: { auth: encoded('ada:pass:word') } } })
    expect(await login()).toEqual({ username: 'ada', password: 'pass:word', serveraddress: HOST })
  })

  it('is a token', async () => {
    config({ auths: { [HOST]: { auth: '', identitytoken: 'long' } } })
    expect(await login()).toEqual({ identitytoken: 'long', serveraddress: HOST })
  })

  it("may be with the registry's own helper, which is asked before the store of all", async () => {
    helper('team', 'read host; printf \'{"Username":"ada","Secret":"%s"}\' "$host"')
    helper('store', 'exit 9')
    config({ credHelpers: { [HOST]: 'team' }, credsStore: 'store' })
    expect(await login()).toEqual({ username: 'ada', password: HOST, serveraddress: HOST })
  })

  it('is that of the file where the store has none', async () => {
    helper('store', 'echo credentials not found in native keychain; exit 1')
    config({ credsStore: 'store', auths: { [HOST]: { auth: encoded('ada:x') } } })
    expect(await login()).toMatchObject({ username: 'ada' })
  })

  it('is told where it is of no use', async () => {
    config('{')
    await expect(login()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    helper('store', 'echo the keychain is locked; exit 1')
    config({ credsStore: 'store' })
    await expect(login()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'docker-credential-store gives no login',
      why: expect.stringContaining('the keychain is locked') as unknown,
    })
    config({ credsStore: 'gone' })
    await expect(login()).rejects.toMatchObject({ message: 'docker-credential-gone gives no login' })
    config({ credsStore: '../store' })
    await expect(login()).rejects.toMatchObject({
      why: expect.stringContaining('that is no name of a program') as unknown,
    })
  })
})
