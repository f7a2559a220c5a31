import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findMavenSettings, readHostCa } from '../../../src/engines/images/host-settings.js'

const pem = (name: string): string => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'devstack-host-test-'))
  await writeFile(join(home, 'a.pem'), pem('a'))
  await writeFile(join(home, 'copy.pem'), pem('a'))
  await writeFile(join(home, 'b.pem'), pem('b'))
  await writeFile(join(home, 'none.pem'), 'nothing\n')
})
afterEach(async () => {
  await rm(home, { recursive: true })
})

test('a host that names no certificates has none of its own', async () => {
  expect(await readHostCa({ HOME: home })).toBeNull()
})

test('a bundle that stands under several names counts once, and two bundles are joined', async () => {
  const at = (file: string): string => join(home, file)
  const ca = await readHostCa({
    HOME: home,
    SSL_CERT_FILE: at('a.pem'),
    PIP_CERT: at('copy.pem'),
    CURL_CA_BUNDLE: at('missing.pem'),
    REQUESTS_CA_BUNDLE: at('none.pem'),
    NODE_EXTRA_CA_CERTS: at('b.pem'),
  })
  expect(ca?.files).toEqual([at('a.pem'), at('b.pem')])
  expect(ca?.pem).toBe(`${pem('a')}\n${pem('b')}`)
  expect(ca?.sha256).toMatch(/^[0-9a-f]{64}$/)
})

test("npm's own setting counts too", async () => {
  await writeFile(join(home, '.npmrc'), `fund=false\ncafile = "${home}/b.pem"\n`)
  expect((await readHostCa({ HOME: home }))?.files).toEqual([join(home, 'b.pem')])
})

test("Maven's settings of the user, where there are some", async () => {
  expect(await findMavenSettings({ HOME: home })).toBeNull()
  await mkdir(join(home, '.m2'))
  await writeFile(join(home, '.m2/settings.xml'), '<settings/>')
  expect(await findMavenSettings({ HOME: home })).toBe(join(home, '.m2/settings.xml'))
})
