import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFile,
  mkdtemp,
  readdir,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { execa } from 'execa'
import * as fc from 'fast-check'
import tarStream from 'tar-stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { packFiles } from '../../../src/engines/compose/archive.js'
import type { Entry, PackOptions } from '../../../src/engines/compose/archive.js'
import { orderChanges } from '../../../src/engines/compose/change-order.js'
import { createFileTimes } from '../../../src/engines/compose/file-times.js'
import { createPendingDeletes } from '../../../src/engines/compose/pending.js'
import { createPlainLines } from '../../../src/engines/compose/plain-lines.js'
import type { FileChange } from '../../../src/orchestrator/ports.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-delivery-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('the order of changes', () => {
  /** `+/a` writes, `-/a` deletes, `>/a` links. */
  const changes = (words: string): readonly FileChange[] =>
    words.split(' ').map((word): FileChange => {
      const target = word.slice(1)
      if (word.startsWith('-')) return { type: 'delete', target }
      if (word.startsWith('>')) return { type: 'link', target, to: 'x' }
      return { type: 'write', source: `/host${target}`, target, mode: 0o644 }
    })
  const show = (words: string): string => {
    const { deletes, writes } = orderChanges(changes(words))
    return [...deletes.map((target) => `-${target}`), ...writes.map(({ target }) => `+${target}`)].join(' ')
  }

  test.each([
    ['deletes go first', '+/b -/a', '-/a +/b'],
    ['the last word about a path counts', '+/a -/a', '-/a'],
    ['the last word about a path counts', '-/a +/a', '+/a'],
    ['a deleted folder takes what was written into it along', '+/a/x +/b -/a', '-/a +/b'],
    ['what is written into it afterwards stays', '-/a +/a/x', '-/a +/a/x'],
    ['a folder becomes a file: what was in it goes first', '-/a/x +/a', '-/a/x +/a'],
    ['a file becomes a folder', '+/a -/a +/a/x', '-/a +/a/x'],
    ['a file that a later folder replaces is not written', '+/a +/a/x', '+/a/x'],
    ['a link counts as a file', '+/a/x >/a', '+/a'],
    ['a sibling that begins alike is another file', '+/ab -/a', '-/a +/ab'],
  ])('%s: %s', (_, words, expected) => {
    expect(show(words)).toBe(expected)
  })

  test('whatever the changes, a file system that they are played on one by one ends the same', () => {
    const path = fc.constantFrom('/a', '/b', '/a/x', '/a/y', '/a/x/z')
    const change = fc.tuple(fc.constantFrom('+', '-'), path).map((pair) => pair.join(''))
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (words) => {
        const ordered = orderChanges(changes(words.join(' ')))
        const replayed = [
          ...ordered.deletes.map((target) => `-${target}`),
          ...ordered.writes.map(({ target }) => `+${target}`),
        ]
        expect(play(replayed)).toEqual(play(words))
      }),
      { numRuns: 1000 },
    )
  })

  /** Files that are there afterwards; a write replaces what is above and below it. */
  function play(words: readonly string[]): readonly string[] {
    let files = new Set<string>()
    for (const word of words) {
      const target = word.slice(1)
      const kept = [...files].filter((file) => file !== target && !file.startsWith(`${target}/`))
      files = new Set(word.startsWith('-') ? kept : kept.filter((file) => !target.startsWith(`${file}/`)))
      if (word.startsWith('+')) files.add(target)
    }
    return [...files].toSorted()
  }
})

describe('the time that a delivered file gets', () => {
  test('is the source’s own where that is newer than what the container has', () => {
    let now = 10_000
    const times = createFileTimes(() => now)
    now = 20_500
    expect(times.of('/a', 20_250)).toBe(20_250)
    expect(times.of('/old', 5000)).toBe(20_500)
    expect(times.of('/folder', null)).toBe(20_500)
    expect(times.of('/future', 99_000)).toBe(20_500)
  })
  test('is never in the same second as the one before, and always later', () => {
    const steps = fc.array(fc.tuple(fc.nat(3000), fc.integer({ min: -5000, max: 5000 })), { maxLength: 20 })
    fc.assert(
      fc.property(steps, (saves) => {
        let now = 1_000_000
        const times = createFileTimes(() => now)
        let before = 0
        for (const [pause, drift] of saves) {
          now += pause
          const time = Math.floor(times.of('/a', now + drift) / 1000)
          expect(time).toBeGreaterThan(before)
          before = time
        }
      }),
    )
  })
})

describe('an archive', () => {
  const options: PackOptions = {
    base: '/',
    owner: { uid: 1234, gid: 2345 },
    named: new Set(),
    timeOf: (_target, sourceMs) => sourceMs ?? 1_700_000_000_000,
    signal: new AbortController().signal,
  }
  const write = (name: string, target: string, mode = 0o644): Entry => ({
    type: 'write',
    source: join(folder, name),
    target,
    mode,
  })
  const pack = async (entries: readonly Entry[], more: Partial<PackOptions> = {}) => {
    const { chunks, result } = await packFiles(entries, { ...options, ...more })
    const pieces: Buffer[] = []
    for await (const chunk of chunks) pieces.push(chunk)
    return { tar: Buffer.concat(pieces), result }
  }
  const read = async (tar: Buffer) => {
    const found: { readonly header: tarStream.Header; readonly text: string }[] = []
    const extract = tarStream.extract()
    Readable.from([tar]).pipe(extract)
    for await (const entry of extract) {
      const pieces: Buffer[] = []
      for await (const piece of entry) pieces.push(piece as Buffer)
      found.push({ header: entry.header, text: Buffer.concat(pieces).toString('utf8') })
    }
    return found
  }

  test('holds folders, files and links with owner, mode and the source’s time', async () => {
    await writeFile(join(folder, 'a'), 'text')
    await utimes(join(folder, 'a'), 1_700_000_001.25, 1_700_000_001.25)
    const { tar, result } = await pack([
      { type: 'folder', path: '/app/new' },
      write('a', '/app/new/a', 0o750),
      { type: 'link', target: '/app/new/b', to: 'a' },
    ])
    const found = await read(tar)
    expect(found.map(({ header }) => [header.name, header.type, header.mode])).toEqual([
      ['app/new/', 'directory', 0o755],
      ['app/new/a', 'file', 0o750],
      ['app/new/b', 'symlink', 0o777],
    ])
    expect(found.every(({ header }) => header.uid === 1234 && header.gid === 2345)).toBe(true)
    expect(found[1]).toMatchObject({ text: 'text', header: { pax: { mtime: '1700000001.250000' } } })
    expect(found[2]?.header.linkname).toBe('a')
    expect(result).toEqual({
      bytes: 4,
      written: { '/app/new/a': sha256('text'), '/app/new/b': sha256('link:a') },
      failed: [],
    })
  })

  test('takes every name that a file can have, and large owners', async () => {
    const names = [
      '-rf',
      'new\nline',
      `quote'"`,
      'ü'.repeat(127),
      `${'n'.repeat(200)}.txt`,
      ' ',
      '*',
      String.raw`\x`,
    ]
    for (const name of names) await writeFile(join(folder, name), name)
    const { tar, result } = await pack(
      names.map((name) => write(name, `/app/${name}`)),
      { owner: { uid: 3_000_000, gid: 4_000_000 } },
    )
    expect(result.failed).toEqual([])
    const file = join(folder, 'all.tar')
    await writeFile(file, tar)
    // What the engine's own program makes of it, not our own reading.
    const { stdout } = await execa('tar', [
      '--extract',
      '--to-stdout',
      '--file',
      file,
      `app/${'ü'.repeat(127)}`,
    ])
    expect(stdout).toBe('ü'.repeat(127))
    const listed = await execa('tar', [
      '--list',
      '--verbose',
      '--numeric-owner',
      '--quoting-style=literal',
      '--file',
      file,
    ])
    expect(listed.stdout).toContain('3000000/4000000')
    expect((await read(tar)).map(({ header, text }) => header.name === `app/${text}`)).toEqual(
      names.map(() => true),
    )
  })

  test('names are relative to the folder that it is unpacked in', async () => {
    await writeFile(join(folder, 'a'), '')
    const { tar } = await pack([write('a', '/data/sub/a')], { base: '/data' })
    expect((await read(tar)).map(({ header }) => header.name)).toEqual(['sub/a'])
  })

  test('what cannot be read is left out and named, and the rest is right', async () => {
    await writeFile(join(folder, 'a'), 'text')
    await symlink('a', join(folder, 'link'))
    execFileSync('mkfifo', [join(folder, 'pipe')])
    const { tar, result } = await pack([
      write('gone', '/gone'),
      write('link', '/link'),
      write('pipe', '/pipe'),
      write('.', '/folder'),
      { type: 'write', source: '/dev/zero', target: '/device', mode: 0o644 },
      write('a', '/a'),
    ])
    expect(result.failed).toEqual([
      { target: '/gone', cause: 'it is gone' },
      { target: '/link', cause: 'it is a symbolic link now' },
      { target: '/pipe', cause: 'it is no plain file' },
      { target: '/folder', cause: 'it is a folder now' },
      { target: '/device', cause: 'it is no plain file' },
    ])
    expect((await read(tar)).map(({ text }) => text)).toEqual(['text'])
  })

  test('a link that a rule names itself is read through', async () => {
    await writeFile(join(folder, 'a'), 'text')
    await symlink('a', join(folder, 'link'))
    const { result } = await pack([write('link', '/conf')], { named: new Set([join(folder, 'link')]) })
    expect(result).toEqual({ bytes: 4, written: { '/conf': sha256('text') }, failed: [] })
  })

  test.each([
    ['shrinks', (file: string) => truncate(file, 1000), 'it shrank while it was read'],
    ['grows', (file: string) => appendFile(file, 'more'), 'it changed while it was read'],
  ])(
    'a large file that %s while it is read is named, and the next one is right',
    async (_, change, cause) => {
      const file = join(folder, 'large')
      await writeFile(file, Buffer.alloc(3_000_000, 'x'))
      await writeFile(join(folder, 'a'), 'text')
      const { chunks, result } = await packFiles([write('large', '/large'), write('a', '/a')], options)
      const pieces: Buffer[] = []
      for await (const chunk of chunks) {
        if (pieces.length === 0) await change(file)
        pieces.push(chunk)
      }
      expect(result.failed).toEqual([{ target: '/large', cause }])
      expect(Object.keys(result.written)).toEqual(['/a'])
      expect((await read(Buffer.concat(pieces)))[1]?.text).toBe('text')
    },
  )

  test('a large file is whole and hashed', async () => {
    const content = Buffer.from(Array.from({ length: 2_000_003 }, (_, index) => index % 251))
    await writeFile(join(folder, 'large'), content)
    const { tar, result } = await pack([write('large', '/large')])
    expect(result).toEqual({ bytes: content.length, written: { '/large': sha256(content) }, failed: [] })
    expect(tar.includes(content)).toBe(true)
  })

  test('ends with the reason of an abort', async () => {
    await writeFile(join(folder, 'a'), 'text')
    const reason = new Error('not wanted any more')
    await expect(pack([write('a', '/a')], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})

describe('what is to be deleted once a container runs', () => {
  test('is kept from session to session, until it is done or written again', async () => {
    const pending = createPendingDeletes(folder)
    await pending.add('one', ['/a', '/b'])
    await pending.add('one', ['/b', '/c'])
    await pending.add('two', ['/a'])
    await pending.drop('one', ['/a'])
    const next = createPendingDeletes(folder)
    expect(await next.of('one')).toEqual(['/b', '/c'])
    expect(await next.of('two')).toEqual(['/a'])
    await next.drop('one', ['/b', '/c'])
    expect(await createPendingDeletes(folder).of('one')).toEqual([])
    const [file = ''] = await readdir(folder)
    expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600)
  })
  test('a damaged file costs what waited, not the run', async () => {
    await createPendingDeletes(folder).add('one', ['/a'])
    const [file = ''] = await readdir(folder)
    await writeFile(join(folder, file), '{"one": [5], "tw')
    expect(await createPendingDeletes(folder).of('one')).toEqual([])
  })
})

test('a program’s lines are the same however they are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.nat(7), (lines, size) => {
      const wanted = lines.map((line) => line.replaceAll('\n', ' '))
      const bytes = Buffer.from(wanted.map((line) => `${line}\n`).join(''))
      const split = createPlainLines()
      const found: string[] = []
      for (let from = 0; from < bytes.length; from += size + 1)
        found.push(...split.write(bytes.subarray(from, from + size + 1)))
      expect([...found, ...split.end()]).toEqual(wanted)
    }),
  )
})

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}
