import { writeFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mirrorSources, readAptSettings } from '../../../src/engines/images/mirrors.js'
import { FakePrograms } from './fakes.js'

test('the mirrors of the machine, with the release that is wanted', () => {
  const lines = [
    'http://mirror.test/debian/|bookworm|main|Debian',
    'http://mirror.test/debian/|bookworm|contrib|Debian',
    'http://mirror.test/debian/|bookworm-updates|main|Debian',
    'http://security.test/debian-security|bookworm-security|main|Debian',
    'http://second.test/debian/|bookworm|main|Debian',
  ]
  expect(mirrorSources(lines, 'bookworm', 'trixie')).toEqual([
    'deb http://mirror.test/debian trixie main',
    'deb http://mirror.test/debian trixie-updates main',
    'deb http://security.test/debian-security trixie-security main',
  ])
})

test('other vendors that use the names of Debian, and mirrors that a container cannot reach', () => {
  const lines = [
    'https://apt.vendor.test|bookworm|main|Vendor',
    'https://apt.vendor.test/deb|bookworm|main|$(ORIGIN)',
    'file:/srv/debian|bookworm|main|Debian',
    'http://mirror.test/debian-security/|bookworm-security|main|$(ORIGIN)',
  ]
  expect(mirrorSources(lines, 'bookworm', 'trixie')).toEqual([])
})

test('before the first apt-get update apt does not know the origin: the path tells', () => {
  const lines = ['http://mirror.test/debian/|bookworm|main|$(ORIGIN)']
  expect(mirrorSources(lines, 'bookworm', 'trixie')).toEqual(['deb http://mirror.test/debian trixie main'])
})

test('takes proxies along; on another system no mirror is taken', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-mirrors-test-'))
  const file = join(folder, 'os-release')
  await writeFile(file, 'ID=ubuntu\nVERSION_CODENAME=noble\n')
  const programs = new FakePrograms(({ argv }) =>
    Promise.resolve({
      stdout:
        argv[0] === 'apt-config' ? ['Acquire::http::Proxy "http://proxy.test:3142";', 'Dir "/";'] : ['no'],
    }),
  )
  const settings = await readAptSettings('trixie', programs.run, new AbortController().signal, file)
  await rm(folder, { recursive: true })
  expect(settings).toEqual({ sources: [], options: ['Acquire::http::Proxy "http://proxy.test:3142";'] })
})
