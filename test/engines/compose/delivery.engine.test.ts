import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { FileChange, InsideRequest } from '../../../src/orchestrator/ports.js'
import { engineIsThere } from '../../contract/compose-there.js'
import { eventually } from '../../contract/eventually.js'
import { begin, plainly, run, signal, SLEEPER, starting, stopping } from './subject.js'

const there = await engineIsThere()
/** A rule, so that what is below /app belongs to the project. */
const SYNCED = `${SLEEPER}develop: { watch: [{ action: sync, path: ./app, target: /app }] }`

/** One program and its libraries: no shell, no rm. */
const BARE = `FROM devstack/base:local AS base
RUN mkdir -p /bare/bin /bare/app/real && cp -L --parents /usr/bin/sleep /usr/bin/cat /lib64/ld-linux-x86-64.so.2 /lib/x86_64-linux-gnu/libc.so.6 /bare/ && echo old > /bare/app/real/file && ln -s /app/real /bare/app/alias && chown -R 1234 /bare/app
FROM scratch
COPY --from=base /bare /
CMD ["/usr/bin/sleep", "infinity"]
`

describe.skipIf(!there)('delivery', () => {
  test('files and new folders belong to the container’s user, also to one that passwd does not know', async () => {
    const { deliver, write, inside } = await begin(`${SLEEPER}user: '1234:2345'`)
    const target = '/srv/new folder/-rf\n"quoted"'
    await deliver(await write(target, 'text', 0o750))
    expect(await inside('stat', '--format', '%u:%g %a', '--', target)).toBe('1234:2345 750')
    expect(await inside('stat', '--format', '%u:%g', '--', '/srv/new folder', '/srv')).toBe('1234:2345\n0:0')
    // A file of the image, which that user may not delete.
    await deliver({ type: 'delete', target: '/etc/debian_version' }, { type: 'delete', target })
    expect(await inside('ls', '/etc/debian_version', '/srv/new folder').catch(String)).toContain(
      'No such file',
    )
    expect(await inside('ls', '/srv/new folder')).toBe('')
  })

  test('what is deleted before a container runs is gone once it does, also for the next session', async () => {
    const { deliver, apply, inside, open, engine } = await begin(SLEEPER)
    await apply(stopping)
    await deliver({ type: 'delete', target: '/etc/debian_version' }, { type: 'delete', target: '/etc/issue' })
    const next = open()
    await next.resolve(
      { services: [], profiles: [], freePorts: false, purpose: 'up' },
      () => undefined,
      signal(),
    )
    await next.apply(starting, run())
    await expect(inside('cat', '/etc/debian_version')).rejects.toThrow('No such file')
    await expect(inside('cat', '/etc/issue')).rejects.toThrow('No such file')
    expect((await engine.observe(signal())).instances[0]?.state).toBe('running')
  })

  test('what waited to be deleted is gone also where somebody else starts the container', async () => {
    const { deliver, apply, inside, engine, docker, containerOf } = await begin(SLEEPER)
    await apply(stopping)
    await deliver({ type: 'delete', target: '/etc/issue' })
    for await (const event of engine.events(signal())) {
      if (event.type === 'connected') await docker('start', await containerOf('app'))
      if (event.type === 'started') break
    }
    await expect(inside('cat', '/etc/issue')).rejects.toThrow('No such file')
  })

  test('nothing is delivered into a bind mount: it would write into the user’s own files', async () => {
    const { deliver, write, inside } = await begin(`${SLEEPER}volumes: ['./own:/own']`, {
      'own/file': 'mine',
    })
    await expect(deliver({ type: 'delete', target: '/own/file' })).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
      message: '/own/file of app lies in a bind mount',
    })
    await expect(deliver({ type: 'delete', target: '/own/../etc/passwd' })).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
    })
    // By way of a link, and beside a file that is all right.
    await inside('ln', '-s', '/own', '/srv/link')
    const { failed, written } = await deliver(
      { type: 'delete', target: '/srv/link/file' },
      await write('/srv/link/new', 'x'),
      await write('/srv/right', 'x'),
    )
    expect(failed.map(({ target }) => target)).toEqual(['/srv/link/file', '/srv/link/new'])
    expect(Object.keys(written)).toEqual(['/srv/right'])
    expect(await inside('ls', '/own')).toBe('file')
  })

  test('below a rule’s target no link leads out of it', async () => {
    const { deliver, write, inside } = await begin(SYNCED, { 'app/x': '' })
    await inside('mkdir', '-p', '/app/real', '/outside')
    await inside('ln', '-s', '/outside', '/app/out')
    await inside('ln', '-s', '/app/real', '/app/in')
    const { failed } = await deliver(await write('/app/out/file', 'x'), await write('/app/in/file', 'x'))
    expect(failed).toEqual([
      { target: '/app/out/file', cause: '/app/out is a link to /outside in the container, outside of /app' },
    ])
    expect(await inside('ls', '/app/real', '/outside')).toBe('/app/real:\nfile\n\n/outside:')
  })

  test('a link is replaced, never written through', async () => {
    const { deliver, write, inside } = await begin(SLEEPER)
    await inside('ln', '-s', '/etc/issue', '/srv/link')
    const before = await inside('cat', '/etc/issue')
    await deliver(await write('/srv/link', 'new'))
    expect(await inside('cat', '/srv/link')).toBe('new')
    expect(await inside('cat', '/etc/issue')).toBe(before)
  })

  test('a folder gives way to a file only where nothing else is in it', async () => {
    const { deliver, write, inside } = await begin(SLEEPER)
    await deliver(
      await write('/srv/own/a/b', '1'),
      await write('/srv/used/a', '1'),
      await write('/srv/a', '1'),
    )
    await inside('touch', '/srv/used/upload')
    const { failed, written } = await deliver(
      { type: 'delete', target: '/srv/own/a/b' },
      { type: 'delete', target: '/srv/used/a' },
      await write('/srv/own', 'file'),
      await write('/srv/used', 'file'),
      await write('/srv/a/b', 'below a file'),
      await write('/srv/c', 'right'),
    )
    expect(Object.keys(written).toSorted()).toEqual(['/srv/c', '/srv/own'])
    expect(failed.toSorted((a, b) => a.target.localeCompare(b.target))).toEqual([
      { target: '/srv/a/b', cause: '/srv/a is a file in the container, not a folder' },
      {
        target: '/srv/used',
        cause: '/srv/used is a folder in the container, with files that were not delivered',
      },
    ])
    expect(await inside('ls', '/srv/used')).toBe('upload')
    expect(await inside('cat', '/srv/own')).toBe('file')
  })

  test('files that the engine refuses are named, and the rest is delivered', async () => {
    const { deliver, write, inside } = await begin(SLEEPER)
    const long = `/srv/${'n'.repeat(256)}`
    const names = Array.from({ length: 20 }, (_, index) => `/srv/f${String(index)}`)
    const files = await Promise.all(names.map((name) => write(name, name)))
    const { failed, written } = await deliver(
      await write(long, 'x'),
      ...files,
      await write('/etc/hosts', 'x'),
    )
    expect(failed.map(({ target }) => target).toSorted()).toEqual(['/etc/hosts', long].toSorted())
    expect(Object.keys(written).toSorted()).toEqual(names.toSorted())
    expect(await inside('cat', '/srv/f19')).toBe('/srv/f19')
  })

  test('an image without rm or a shell: another image lends them', async () => {
    const { deliver, write, docker, name, instance, engine, containerOf } = await begin(
      "build: .\nuser: '1234'",
      { Dockerfile: BARE },
    )
    const inside = async (path: string): Promise<string> =>
      await docker('exec', await containerOf('app'), '/usr/bin/cat', path)
    await deliver(await write('/app/deep/new', 'new'))
    expect(await inside('/app/deep/new')).toBe('new')
    // One path of them leads through a link, which means another place for another image.
    const { failed } = await deliver(
      { type: 'delete', target: '/app/alias/file' },
      { type: 'delete', target: '/app/deep/new' },
    )
    expect(failed).toEqual([])
    await expect(inside('/app/real/file')).rejects.toThrow('No such file')
    await expect(inside('/app/deep/new')).rejects.toThrow('No such file')
    // A command that is to be ended, too.
    const stop = new AbortController()
    const argv = ['/usr/bin/sleep', '12345']
    const running = engine.run(await instance(), plainly(argv), () => undefined, stop.signal)
    const processes = () => docker('top', `${name}-app-1`, '-eo', 'pid,args')
    await eventually(async () => expect(await processes()).toContain('12345'))
    stop.abort(new Error('not wanted any more'))
    await expect(running).rejects.toThrow('not wanted any more')
    expect(await processes()).not.toContain('12345')
    const label = `label=dev.devstack.helper=${await containerOf('app')}`
    expect(await docker('ps', '--all', '--quiet', '--filter', label)).toBe('')
  })

  test('a read-only container: a volume is written to, anything else refused by name', async () => {
    const { deliver, write, inside } = await begin(`${SLEEPER}read_only: true\nvolumes: ['/data']`)
    await expect(deliver(await write('/srv/a', 'x'))).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
      why: 'the root file system of the container is read-only',
    })
    await expect(deliver({ type: 'delete', target: '/etc/issue' })).rejects.toMatchObject({
      hint: expect.stringContaining('rebuild') as unknown,
    })
    const { failed } = await deliver(await write('/data/new/a', 'text'), await write('/srv/a', 'x'))
    expect(failed.map(({ target }) => target)).toEqual(['/srv/a'])
    expect(await inside('cat', '/data/new/a')).toBe('text')
  })

  test('many files in many folders are one delivery, and so is their end', async () => {
    const { deliver, inside, folder } = await begin(SLEEPER)
    const source = join(folder, 'source')
    await writeFile(source, 'text')
    const targets = Array.from(
      { length: 3000 },
      (_, index) => `/srv/many/d${String(index % 200)}/e/f${String(index)}`,
    )
    const { written } = await deliver(
      ...targets.map((target): FileChange => ({ type: 'write', source, target, mode: 0o644 })),
    )
    expect(Object.keys(written)).toHaveLength(3000)
    const count = () => inside('sh', '-c', 'find /srv/many -type f | wc -l')
    expect(await count()).toBe('3000')
    await deliver(...targets.slice(1).map((target): FileChange => ({ type: 'delete', target })))
    expect(await count()).toBe('1')
  })

  test('a file of 200 MB arrives whole', async () => {
    const { deliver, inside, folder } = await begin(SLEEPER)
    const source = join(folder, 'large')
    await writeFile(source, Buffer.alloc(1_000_003, 'content'))
    await truncate(source, 200_000_000)
    const { written, bytes } = await deliver({ type: 'write', source, target: '/srv/large', mode: 0o644 })
    expect(bytes).toBe(200_000_000)
    expect(await inside('sha256sum', '/srv/large')).toBe(`${written['/srv/large'] ?? ''}  /srv/large`)
  })

  test('quick saves of one file never have the same second', async () => {
    const { deliver, write, inside } = await begin(SLEEPER)
    const seconds: string[] = []
    for (const text of ['one', 'two', 'six']) {
      await deliver(await write('/srv/a', text))
      seconds.push(await inside('stat', '--format', '%Y', '/srv/a'))
    }
    expect(new Set(seconds).size).toBe(3)
    expect(seconds).toEqual(seconds.toSorted())
  })
})

describe.skipIf(!there)('processes with pipes', () => {
  test('what a process says on stderr is kept, the end of it, with its exit code', async () => {
    const { engine, instance } = await begin(SLEEPER)
    const script = 'seq 1 5000 >&2; echo out; read line; echo "got $line"; exit 7'
    const process = await engine.open(await instance(), plainly(['sh', '-c', script]), signal())
    const lines: string[] = []
    process.write('word')
    for await (const line of process.lines) lines.push(line)
    const { exitCode, stderr } = await process.ended
    expect([lines, exitCode]).toEqual([['out', 'got word'], 7])
    expect(stderr.length).toBeLessThanOrEqual(4096)
    expect(stderr.endsWith('4999\n5000\n')).toBe(true)
  })

  test('a request has its user, folder and variables; what it prints is clean', async () => {
    const { engine, instance } = await begin(SLEEPER)
    const request: InsideRequest = {
      argv: ['sh', '-c', String.raw`printf '\033[31m%s\033[0m %s\n' "$(id -u)" "$PWD"; echo "$A" >&2`],
      user: '1234',
      workdir: '/srv',
      env: { A: 'x y=$z' },
    }
    const lines: string[] = []
    expect(await engine.run(await instance(), request, (line) => lines.push(line), signal())).toBe(0)
    expect(lines.toSorted()).toEqual(['1234 /srv', 'x y=$z'])
  })

  test.each([null, '1234'])(
    'an aborted command of the user %s ends with all that it started',
    async (user) => {
      const { engine, instance, docker, containerOf } = await begin(SLEEPER)
      const stop = new AbortController()
      const argv = ['sh', '-c', "trap '' TERM; sleep 11111 & sleep 22222"]
      const said: string[] = []
      const request = { ...plainly(argv), user }
      const running = engine.run(await instance(), request, (line) => said.push(line), stop.signal)
      const processes = async () => await docker('top', await containerOf('app'), '-eo', 'pid,args')
      await eventually(async () => expect(await processes()).toContain('sleep 22222'))
      stop.abort(new Error('not wanted any more'))
      await expect(running).rejects.toThrow('not wanted any more')
      expect(await processes()).not.toMatch(/11111|22222/)
      expect(said.filter((line) => line.includes('could not be ended'))).toEqual([])
    },
  )
})
