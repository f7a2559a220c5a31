import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { contextHash, decodeManifest, encodeManifest } from '../../../src/engines/images/manifest.js'

const sha = fc
  .array(fc.integer({ min: 0, max: 15 }), { minLength: 64, maxLength: 64 })
  .map((digits) => digits.map((digit) => digit.toString(16)).join(''))
const path = fc
  .string({ minLength: 1, unit: 'binary' })
  .filter((text) => text !== '__proto__' && text.isWellFormed())
const manifest = fc.dictionary(path, sha, { maxKeys: 30, noNullPrototype: true })

function shuffled<T>(value: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(value).toReversed())
}

describe('a Manifest as a label', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(manifest, (value) => {
        const { label } = encodeManifest(value)
        expect(decodeManifest(label ?? '')).toEqual(value)
      }),
    )
  })

  test('does not depend on the order of the files', () => {
    fc.assert(
      fc.property(manifest, (value) => {
        expect(encodeManifest(shuffled(value))).toEqual(encodeManifest(value))
      }),
    )
  })

  test('is the same text on every system', () => {
    expect(Buffer.from(encodeManifest({ a: 'b' }).label?.slice(2) ?? '', 'base64')[9]).toBe(255)
  })

  test('is left out, with the reason, where it would be too large', () => {
    const many = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, index) => [`file-${String(index)}`, crypto.randomUUID().repeat(2)]),
    )
    expect(encodeManifest(many)).toEqual({
      label: null,
      reason: 'the build context holds too many files for a label (20000)',
    })
  })

  test.each(['', 'x', '1:', '1:aGVsbG8=', '2:aGVsbG8='])('%j is none of ours', (label) => {
    expect(decodeManifest(label)).toBeNull()
  })
})

describe('contextHash', () => {
  const inputs = {
    manifest: { a: '1', b: '2' },
    dockerfile: 'FROM x',
    target: null,
    args: { A: '1', B: '2' },
    bases: { x: 'sha256:1' },
  }

  test('does not depend on any order', () => {
    const other = { ...inputs, manifest: shuffled(inputs.manifest), args: shuffled(inputs.args) }
    expect(contextHash(other)).toBe(contextHash(inputs))
  })

  test.each([
    ['a file', { manifest: { a: '1', b: '3' } }],
    ['a file more', { manifest: { a: '1', b: '2', c: '3' } }],
    ['the Dockerfile', { dockerfile: 'FROM y' }],
    ['the target', { target: 'dev' }],
    ['an argument', { args: { A: '1', B: '3' } }],
    ['a base', { bases: { x: 'sha256:2' } }],
  ])('changes with %s', (_, change) => {
    expect(contextHash({ ...inputs, ...change })).not.toBe(contextHash(inputs))
  })

  test('does not change with a file that is left out', () => {
    const except = (path: string): boolean => path === 'b'
    const changed = { ...inputs, manifest: { a: '1', b: '9' } }
    expect(contextHash({ ...changed, except })).toBe(contextHash({ ...inputs, except }))
  })
})
