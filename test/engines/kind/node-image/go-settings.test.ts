import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { proxyArguments, readGoSettings } from '../../../../src/engines/kind/node-image/go-settings.js'

let home: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ds-node-home-'))
  await mkdir(join(home, '.config/go'), { recursive: true })
  await writeFile(
    join(home, '.config/go/env'),
    'GOPROXY=https://modules.example\nGOFLAGS=-mod=vendor\nGOSUMDB=off\n',
  )
})

afterEach(async () => {
  await rm(home, { recursive: true })
})

test('settings come from the file that go env -w writes; of those only where modules come from', async () => {
  expect(await readGoSettings({ HOME: home })).toBe('GOPROXY=https://modules.example\nGOSUMDB=off\n')
})

test('the environment comes before the file', async () => {
  const settings = await readGoSettings({ HOME: home, GOPROXY: 'https://other.example,direct' })
  expect(settings).toBe('GOPROXY=https://other.example,direct\nGOSUMDB=off\n')
})

test('the file can be another one, or off', async () => {
  const file = join(home, 'other')
  await writeFile(file, 'GONOSUMDB=example.com\n')
  expect(await readGoSettings({ HOME: home, GOENV: file })).toBe('GONOSUMDB=example.com\n')
  expect(await readGoSettings({ HOME: home, GOENV: 'off' })).toBe('')
})

test('a value of several lines is none', async () => {
  expect(await readGoSettings({ HOME: home, GOENV: 'off', GOPROXY: 'a\nLD_PRELOAD=b' })).toBe('')
})

test('proxies are handed on, but for one that a container cannot reach', () => {
  const env = {
    HTTP_PROXY: 'http://user:word@proxy.example:3128',
    https_proxy: 'http://127.0.0.1:8080',
    NO_PROXY: 'a',
  }
  const proxy = ['--build-arg', 'HTTP_PROXY=http://user:word@proxy.example:3128']
  expect(proxyArguments(env)).toEqual([...proxy, '--build-arg', 'NO_PROXY=a'])
  expect(proxyArguments({ HTTP_PROXY: 'http://localhost:1', HTTPS_PROXY: '' })).toEqual([])
})
