import {
  appendFile,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createDeliveryRecord } from '../../src/host/deliveries.js'

let parent: string
let folder: string
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'devstack-deliveries-'))
  folder = join(parent, 'deliveries')
})
afterEach(async () => rm(parent, { recursive: true }))

const fileOf = (instance: string): string => join(folder, `${instance}.ndjson`)

describe('the record of deliveries', () => {
  it('knows nothing of an instance at first', async () => {
    expect(await createDeliveryRecord(folder).read('c1')).toEqual({})
  })

  it('tells what was added, the last word of each file, also to the next session', async () => {
    const record = createDeliveryRecord(folder)
    await record.add('c1', { '/app/a.py': '', '/app/b.py': 'bb' })
    await record.add('c1', { '/app/a.py': 'aa', '/app/b.py': null })
    await record.add('c2', { '/app/a.py': 'other' })
    const told = { '/app/a.py': 'aa', '/app/b.py': null }
    expect(await record.read('c1')).toEqual(told)
    expect(await createDeliveryRecord(folder).read('c1')).toEqual(told)
  })

  it('keeps names apart that JSON, lines or objects could confuse', async () => {
    const entries = Object.fromEntries(
      ['/app/new\nline', '/app/"quote"', '/app/__proto__', '__proto__', '/app/ü\u2028'].map((target) => [
        target,
        'x',
      ]),
    )
    await createDeliveryRecord(folder).add('c1', entries)
    expect(Object.entries(await createDeliveryRecord(folder).read('c1'))).toEqual(Object.entries(entries))
  })

  it('is closed to other users', async () => {
    await createDeliveryRecord(folder).add('c1', { '/app/a.py': 'aa' })
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    expect((await stat(fileOf('c1'))).mode & 0o777).toBe(0o600)
  })

  it('passes over a last line that a crash cut, and goes on after it', async () => {
    const record = createDeliveryRecord(folder)
    await record.add('c1', { '/app/a.py': 'aa' })
    await record.add('c1', { '/app/b.py': 'bb' })
    await truncate(fileOf('c1'), (await stat(fileOf('c1'))).size - 4)
    const next = createDeliveryRecord(folder)
    expect(await next.read('c1')).toEqual({ '/app/a.py': 'aa' })
    await next.add('c1', { '/app/c.py': 'cc' })
    expect(await createDeliveryRecord(folder).read('c1')).toEqual({ '/app/a.py': 'aa', '/app/c.py': 'cc' })
  })

  it('cut at any byte says what some earlier moment was true', async () => {
    const additions = [{ a: '1' }, { a: '', b: '2' }, { b: null }, { a: '3', c: '4' }]
    const record = createDeliveryRecord(folder)
    const moments: unknown[] = [{}]
    for (const addition of additions) {
      await record.add('c1', addition)
      moments.push(await record.read('c1'))
    }
    const whole = await readFile(fileOf('c1'))
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), async (length) => {
        await writeFile(fileOf('c1'), whole.subarray(0, length))
        expect(moments).toContainEqual(await createDeliveryRecord(folder).read('c1'))
      }),
      { seed: 4, numRuns: 60 },
    )
  })

  it('is written anew when it has grown far beyond what it says', async () => {
    const record = createDeliveryRecord(folder)
    for (let save = 0; save < 4000; save += 1)
      await record.add('c1', { [`/app/${String(save % 10)}.py`]: `${String(save)}-${'x'.repeat(60)}` })
    expect((await stat(fileOf('c1'))).size).toBeLessThan(300 * 1024)
    const told = await createDeliveryRecord(folder).read('c1')
    expect(told).toEqual(await record.read('c1'))
    expect(told['/app/9.py']).toMatch(/^3999-/)
    expect(await readdir(folder)).toEqual(['c1.ndjson'])
  })

  it('is not put together again at every save where most of what it says is true', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 4000 }, (_, index) => [`/app/${String(index)}.py`, 'x'.repeat(64)]),
    )
    const record = createDeliveryRecord(folder)
    await record.add('c1', files)
    expect((await stat(fileOf('c1'))).size).toBeGreaterThan(256 * 1024)
    const made = vi.spyOn(JSON, 'stringify')
    for (let save = 0; save < 20; save += 1) await record.add('c1', { '/app/1.py': String(save) })
    const sizes = made.mock.calls.map(([value]) => Object.keys(value as object).length)
    made.mockRestore()
    expect(sizes).toEqual(Array(20).fill(1))
  })

  it('forgets every instance but those that are kept', async () => {
    const record = createDeliveryRecord(folder)
    await Promise.all(['c1', 'c2', 'c3'].map(async (id) => record.add(id, { a: id })))
    await writeFile(`${fileOf('c2')}.12.draft`, 'left by a crash')
    await record.keep(['c1'])
    expect(await readdir(folder)).toEqual(['c1.ndjson'])
    expect([await record.read('c1'), await record.read('c2')]).toEqual([{ a: 'c1' }, {}])
  })

  it('forgets where there is nothing yet', async () => {
    await createDeliveryRecord(folder).keep([])
  })

  it('refuses an id that is a path, and a file that is a link to somebody else’s', async () => {
    const record = createDeliveryRecord(folder)
    for (const id of ['../c1', '', '.', 'a/b', 'a\nb']) {
      await expect(record.add(id, { a: 'a' })).rejects.toMatchObject({ code: 'OPERATION_FAILED' })
    }
    await record.add('c1', { a: 'a' })
    await appendFile(join(parent, 'victim'), '')
    await symlink(join(parent, 'victim'), fileOf('c2'))
    await expect(record.add('c2', { a: 'a' })).rejects.toMatchObject({ code: 'STATE_FOREIGN' })
    expect(await readFile(join(parent, 'victim'), 'utf8')).toBe('')
  })
})
