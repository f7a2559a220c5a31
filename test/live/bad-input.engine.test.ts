import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, open, readdir, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { onEngine } from '../e2e/on-engine.js'
import type { Place } from '../e2e/support.js'
import { followEvents, type Events } from './events.js'
import { inside, makeTiny, TARGET } from './tiny.js'

const run = promisify(execFile)

// What no program should make and some do. Each comes in the middle of a batch: the rest of it is delivered, what is
// not delivered is named, and the next save arrives as ever.

onEngine('live update, given', () => {
  let place: Place
  let events: Events
  let mark = 0
  let rounds = 0

  beforeAll(async () => {
    place = await makeTiny({ 'first.txt': 'first\n' })
    await place.write('outside/secret.txt', 'a secret of this machine\n')
    events = await followEvents(place)
  })
  afterAll(async () => {
    await events[Symbol.asyncDispose]()
    await place[Symbol.asyncDispose]()
  })

  const source = (name: string): string => join(place.folder, 'src', name)
  const text = (name: string): Promise<string | null> => inside(place, 'cat', '--', `${TARGET}/${name}`)
  const names = async (): Promise<readonly string[]> =>
    ((await inside(place, 'find', TARGET, '-printf', '%P\\0')) ?? '').split('\0')

  /** Does something bad between two good saves, and sees both of them arrive, and one after it. */
  const amid = async (bad: () => Promise<unknown>): Promise<void> => {
    rounds += 1
    mark = events.mark()
    const round = String(rounds)
    await writeFile(source(`before-${round}`), round)
    await bad()
    await writeFile(source(`behind-${round}`), round)
    await expect.poll(() => text(`before-${round}`), { timeout: 20_000 }).toBe(round)
    await expect.poll(() => text(`behind-${round}`), { timeout: 20_000 }).toBe(round)
    await writeFile(source(`later-${round}`), round)
    await expect.poll(() => text(`later-${round}`), { timeout: 20_000 }).toBe(round)
  }
  const isNamed = async (name: string): Promise<void> => {
    const named = await events.next(
      (event) => event.type === 'warned' && String(event['message']).includes(name),
      mark,
      10_000,
    )
    expect(named, `a warning that names ${name}`).not.toBeNull()
  }

  it.each([
    ['file', '../outside/secret.txt'],
    ['folder', '../outside'],
  ])('a symlink to a %s outside: follows it never, and names it', async (kind, target) => {
    const name = `way-out-to-a-${kind}`
    await amid(() => symlink(target, source(name)))
    await isNamed(name)
    expect(await inside(place, 'grep', '-rl', 'a secret of this machine', TARGET)).toBeNull()
    await unlink(source(name))
  })

  it('a symlink to a file of the watched folder: reads the same through it', async () => {
    await amid(() => symlink('first.txt', source('alias')))
    await expect.poll(() => text('alias')).toBe('first\n')
  })

  it('a symlink to itself: brings it over as it is, or names it', async () => {
    await amid(() => symlink('ring', source('ring')))
    const there = await inside(place, 'readlink', `${TARGET}/ring`)
    if (there === null) await isNamed('ring')
    else expect(there).toBe('ring\n')
    await unlink(source('ring'))
  })

  it('a FIFO that nobody writes to: does not wait for it, and names it', async () => {
    await amid(() => run('mkfifo', [source('pipe')]))
    await isNamed('pipe')
    expect(await names()).not.toContain('pipe')
    await unlink(source('pipe'))
  })

  it('a socket: names it', async () => {
    const server = createServer()
    // Bound by a short path: a socket's may have 107 bytes.
    await amid(
      () =>
        new Promise<void>((resolve, reject) => {
          server.once('error', reject)
          server.listen(source('socket'), resolve)
        }),
    )
    await isNamed('socket')
    expect(await names()).not.toContain('socket')
    await new Promise((resolve) => server.close(resolve))
  })

  it.skipIf(process.getuid?.() !== 0)('a device: reads nothing of it, and names it', async () => {
    await amid(() => run('mknod', [source('zeros'), 'c', '1', '5']))
    await isNamed('zeros')
    expect(await names()).not.toContain('zeros')
    await unlink(source('zeros'))
  })

  it.skipIf(process.getuid?.() === 0)('a file that it may not read: names it', async () => {
    await amid(async () => {
      await writeFile(source('private.txt'), 'private\n')
      await chmod(source('private.txt'), 0)
    })
    await isNamed('private.txt')
    await rm(source('private.txt'), { force: true })
  })

  it('files that vanish as soon as they are seen: has none of them at the end', async () => {
    await amid(async () => {
      for (let index = 0; index < 300; index += 1) {
        const name = source(`gone-${String(index)}`)
        await writeFile(name, 'x'.repeat(2000))
        // Some at once, some when a delivery may be under way.
        if (index % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
        await unlink(name)
      }
    })
    await expect
      .poll(async () => (await names()).filter((name) => name.startsWith('gone-')), { timeout: 20_000 })
      .toEqual([])
  })

  it.each([
    ['a newline', 'two\nlines.txt'],
    ['both quotes', `"double" 'single'.txt`],
    ['a leading dash', '-rf'],
    ['what a shell would run', '$(touch ran) `touch ran`; touch ran'],
    ['a backslash', 'back\\slash\\n.txt'],
    ['a leading and a trailing space', ' spaces '],
    ['what a pattern would match', '[a-z]*?{1,2}.txt'],
    ['a tab and an escape', 'tab\tescape\u001B[31m.txt'],
    ['letters beyond ASCII', 'größe-長さ-🙂.txt'],
    ['a letter with its accent apart', 'e\u0301.txt'],
    ['255 bytes', 'n'.repeat(255)],
    ['255 bytes in a folder of 255', `${'d'.repeat(255)}/${'n'.repeat(255)}`],
  ])('a name with %s: writes, changes and deletes that file', async (_what, name) => {
    const bytes = Buffer.from(name).toString('latin1')
    await amid(async () => {
      if (name.includes('/')) await mkdir(source('d'.repeat(255)))
      await writeFile(source(name), 'one\n')
    })
    expect(await names()).toContain(bytes)
    await writeFile(source(name), 'another\n')
    await expect.poll(() => text(name)).toBe('another\n')
    await unlink(source(name))
    await expect.poll(names).not.toContain(bytes)
    expect(await inside(place, 'find', '/', '-xdev', '-name', 'ran')).toBe('')
    expect(await readdir(place.folder)).not.toContain('ran')
  })

  it('a name that is no UTF-8: delivers it byte for byte, or names it', async () => {
    const name = Buffer.concat([Buffer.from('latin-'), Buffer.from([0xe9, 0xff]), Buffer.from('.txt')])
    const path = Buffer.concat([Buffer.from(`${join(place.folder, 'src')}/`), name])
    await amid(() => writeFile(path, 'latin\n'))
    if ((await names()).includes(name.toString('latin1')))
      expect(await inside(place, 'find', TARGET, '-name', 'latin-*', '-exec', 'cat', '{}', '+')).toBe(
        'latin\n',
      )
    else await isNamed('latin-')
    // Nothing under a name that no file here has.
    expect((await names()).filter((one) => one.startsWith('latin-'))).toSatisfy((found: readonly string[]) =>
      found.every((one) => one === name.toString('latin1')),
    )
    await unlink(path)
  })

  it('a file of 200 MB: delivers all of it, and small ones after it', async () => {
    const size = 200 * 1024 * 1024
    const end = Buffer.from('the end\n')
    await amid(async () => {
      const file = await open(source('large.bin'), 'w')
      try {
        await file.write(end, 0, end.length, size - end.length)
      } finally {
        await file.close()
      }
    })
    const hash = createHash('sha256')
    const zeros = Buffer.alloc(1024 * 1024)
    for (let part = 0; part < 199; part += 1) hash.update(zeros)
    hash.update(zeros.subarray(end.length)).update(end)
    const wanted = hash.digest('hex')
    await expect
      .poll(async () => (await inside(place, 'sha256sum', `${TARGET}/large.bin`))?.slice(0, 64), {
        timeout: 60_000,
      })
      .toBe(wanted)
    await rm(source('large.bin'))
    await expect.poll(names, { timeout: 20_000 }).not.toContain('large.bin')
  })
})
