import { describe, expect, test } from 'vitest'
import { parseReference, shortReference, versionFits } from '../../../src/engines/images/reference.js'

describe('parseReference', () => {
  test.each([
    ['postgres', 'docker.io', 'library/postgres', null],
    ['postgres:17', 'docker.io', 'library/postgres', '17'],
    ['index.docker.io/library/postgres:17', 'docker.io', 'library/postgres', '17'],
    ['bitnami/redis:8', 'docker.io', 'bitnami/redis', '8'],
    ['localhost/app', 'localhost', 'app', null],
    ['registry.example:5000/a/b:c', 'registry.example:5000', 'a/b', 'c'],
  ])('%s', (text, host, path, tag) => {
    expect(parseReference(text)).toEqual({ host, path, tag, digest: null })
  })

  test('a digest is no tag', () => {
    expect(parseReference('redis:8@sha256:ab')).toMatchObject({ tag: '8', digest: 'sha256:ab' })
  })
})

test.each([
  ['docker.io/library/redis', 'redis:latest'],
  ['quay.io/x/y:1', 'quay.io/x/y:1'],
  ['docker.io/library/redis@sha256:ab', 'redis@sha256:ab'],
])('the engine lists %s as %s', (long, short) => {
  expect(shortReference(long)).toBe(short)
})

test.each([
  ['17', '17', true],
  ['17.2-bookworm', '17', true],
  ['16', '17', false],
  ['170', '17', false],
  ['latest', '17', true],
  [null, '17', true],
  ['3', '3.13', true],
  ['3.13.1-slim', '3.13', true],
  ['3.12', '3.13', false],
  ['v24', '24', true],
])('tag %s fits %s: %s', (tag, major, fits) => {
  expect(versionFits(tag, major)).toBe(fits)
})
