import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DevstackError } from '../../../src/core/error.js'
import type { BindMount, WatchRule } from '../../../src/core/project.js'
import { createBuildReader } from '../../../src/engines/compose/build-output.js'
import { createChannel } from '../../../src/engines/compose/channel.js'
import { createDeliverer } from '../../../src/engines/compose/deliver.js'
import type { DeliveryTools } from '../../../src/engines/compose/deliver.js'
import { explainEngineText } from '../../../src/engines/compose/docker.js'
import { execArguments } from '../../../src/engines/compose/exec.js'
import { formatOverride } from '../../../src/engines/compose/override.js'
import { resolveOwner } from '../../../src/engines/compose/owner.js'
import { composeWarnings } from '../../../src/engines/compose/warnings.js'
import { deliveredFiles } from '../../../src/engines/compose/watched.js'

describe('BuildKit’s plain output', () => {
  // As Compose 2.26 prints it.
  const lines = `#0 building with "default" instance using docker driver
#4 [app internal] load build definition from Dockerfile
#4 DONE 0.0s
#5 [app base 1/2] FROM docker.io/library/x
#5 CACHED
#6 [app base 2/2] RUN one
#6 0.120 working
#6 DONE 0.3s
#7 [app final 1/1] COPY . /app
#7 ERROR: failed to compute cache key
------
 > [app final 1/1] COPY . /app:
------
failed to solve: failed to compute cache key`.split('\n')

  test('steps of all stages are counted, and the failing one is named', () => {
    const reader = createBuildReader()
    const seen = lines.flatMap((line) => {
      const progress = reader.read(line)
      return progress === null
        ? []
        : [`${String(progress.step)}/${String(progress.steps)} ${String(progress.percent)}% ${progress.text}`]
    })
    expect(seen).toEqual([
      '1/2 0% FROM docker.io/library/x',
      '2/2 50% FROM docker.io/library/x',
      '2/2 50% RUN one',
      '2/2 100% RUN one',
      '3/3 66% COPY . /app',
    ])
    expect(reader.failure()).toEqual({
      step: 'step 1 of 1: COPY . /app',
      lines: [],
      error: 'failed to compute cache key',
    })
  })

  test('what is no build output breaks nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (texts) => {
        const reader = createBuildReader()
        for (const text of texts) reader.read(text)
        reader.failure()
      }),
    )
  })
})

describe('the override file', () => {
  test('a dollar sign is no variable to Compose', () => {
    const services = { api: { image: 'a$b' } }
    expect(formatOverride({ services, volumeLabels: {}, labels: {} })).toContain('image: "a$$b"')
  })
})

describe('the owner of delivered files', () => {
  const passwd = 'root:x:0:0::/root:/bin/sh\napp:x:999:998::/app:/bin/sh\n'
  const group = 'root:x:0:\nweb:x:33:\n'
  test.each([
    ['app', undefined, { uid: 999, gid: 998 }],
    ['999', undefined, { uid: 999, gid: 998 }],
    ['1234', undefined, { uid: 1234, gid: 0 }],
    ['app', 'web', { uid: 999, gid: 33 }],
    ['1234', '5', { uid: 1234, gid: 5 }],
  ])('%s:%s', (user, name, owner) => {
    expect(resolveOwner(user, name, passwd, group)).toEqual(owner)
  })
})

describe('exec', () => {
  test('the user’s words come last, and none of them is an option of ours', () => {
    const request = {
      service: 'api',
      argv: ['--help', '-rf'],
      tty: true,
      interactive: true,
      user: 'app',
      workdir: '/app',
      env: { A: 'b c' },
    }
    expect(execArguments('c1', request)).toEqual([
      'exec',
      '--interactive',
      '--tty',
      '--user=app',
      '--workdir=/app',
      '--env=A=b c',
      '--',
      'c1',
      '--help',
      '-rf',
    ])
  })
})

describe('what the engine only says as text', () => {
  test.each([
    ['Bind for 127.0.0.1:8080 failed: port is already allocated', 'PORT_TAKEN', '8080'],
    ['listen tcp4 127.0.0.1:5432: bind: address already in use', 'PORT_TAKEN', '5432'],
    ['write /var/lib/x: no space left on device', 'DISK_FULL', 'disk'],
  ])('%s', (text, code, word) => {
    const error = explainEngineText(text)
    expect(error?.code).toBe(code)
    expect(error?.message).toContain(word)
  })
  test('anything else is not guessed at', () => {
    expect(explainEngineText('oci runtime error')).toBeNull()
  })
})

describe('Compose’s warnings', () => {
  test('each once, without the log’s quoting', () => {
    const line = 'time="x" level=warning msg="The \\"A\\" variable is not set. Defaulting to a blank string."'
    expect(composeWarnings(`${line}\nother\n${line}\n`)).toEqual([
      'The "A" variable is not set. Defaulting to a blank string.',
    ])
  })
})

describe('files that are delivered', () => {
  const rule = (fields: Partial<WatchRule>): WatchRule => ({
    action: 'sync',
    path: '/p/src',
    target: '/app',
    ignore: [],
    include: [],
    initialSync: false,
    exec: null,
    at: null,
    ...fields,
  })
  const delivered = (
    watch: readonly WatchRule[],
    paths: readonly string[],
    binds: readonly BindMount[] = [],
  ) => paths.filter(deliveredFiles({ watch, binds }, '/p'))

  test('the closest rule decides, and what it ignores is built', () => {
    const rules = [
      rule({ action: 'rebuild', path: '/p/src/package.json', target: null }),
      rule({ ignore: ['gen/'] }),
    ]
    const paths = ['src/a.ts', 'src/package.json', 'src/gen/x.ts', 'srcs/a.ts', 'Dockerfile']
    expect(delivered(rules, paths)).toEqual(['src/a.ts'])
  })

  test('where a rule says what it includes, the rest is built', () => {
    const paths = ['src/a.py', 'src/b.ts', 'src/deep/c.py', 'src/gen/d.py', 'src/A.PY']
    expect(delivered([rule({ include: ['**/*.py'], ignore: ['gen'] })], paths)).toEqual([
      'src/a.py',
      'src/deep/c.py',
    ])
  })

  test('a pattern that cannot be compiled matches nothing, and the others hold', () => {
    const paths = ['src/a.py', 'src/b.ts', 'src/gen/c.py']
    const unsound = ['[', 'x/[z-a]', '!', '# gen', '']
    expect(delivered([rule({ ignore: [...unsound, ' gen '] })], paths)).toEqual(['src/a.py', 'src/b.ts'])
    expect(delivered([rule({ include: [...unsound, '**/*.py'] })], paths)).toEqual([
      'src/a.py',
      'src/gen/c.py',
    ])
    expect(delivered([rule({ include: ['['] })], paths)).toEqual([])
  })

  test('an editor’s own files are neither watched nor delivered', () => {
    const paths = ['src/a.py~', 'src/.a.py.swp', 'src/4913', 'src/.git/config', 'src/#a#', 'src/git/a']
    expect(delivered([rule({})], paths)).toEqual(['src/git/a'])
  })

  test('what a command has to take up is built, too', () => {
    const exec = { argv: ['pip', 'install'], user: null, workdir: null, env: {} }
    const file = { path: '/p/src/requirements.txt', target: '/app/requirements.txt' }
    const rules = [rule({}), rule({ ...file, action: 'sync+exec', exec })]
    expect(delivered(rules, ['src/requirements.txt', 'src/a.py'])).toEqual(['src/a.py'])
  })

  test('what the container sees through a bind mount is not delivered', () => {
    expect(delivered([rule({})], ['src/a.py'], [{ source: '/p', target: '/elsewhere' }])).toEqual([
      'src/a.py',
    ])
    expect(delivered([rule({})], ['src/a.py'], [{ source: '/p/src', target: '/app' }])).toEqual([])
  })
})

describe('delivery', () => {
  // Nothing of the engine may be asked for a target that is refused.
  const deliverer = createDeliverer({} as DeliveryTools)
  const instance = { id: 'c1', service: 'api', state: 'running' } as Parameters<typeof deliverer.deliver>[0]
  test('a target that is not a plain absolute path is refused before the engine is asked', async () => {
    const odd = fc.oneof(
      fc.constantFrom('', '/', 'a', '../a', '/a/../b', '/a/./b', '/a//b', '/a/', '/a\0b'),
      fc
        .array(fc.constantFrom('a', '..', '.', ''), { maxLength: 5 })
        .map((parts) => `/x/../${parts.join('/')}`),
    )
    await fc.assert(
      fc.asyncProperty(odd, async (target) => {
        await expect(
          deliverer.deliver(instance, [{ type: 'delete', target }], [], AbortSignal.timeout(1000)),
        ).rejects.toMatchObject({ code: 'DELIVERY_FAILED' })
      }),
    )
  })
})

describe('a delivery that the engine refuses', () => {
  const refusal = async (text: string): Promise<unknown> => {
    const docker = {
      get: () => Promise.reject(new DevstackError('OPERATION_FAILED', 'could not read', { cause: text })),
      explain: (error: Error) => error,
    }
    const deliverer = createDeliverer({ docker } as unknown as DeliveryTools)
    const instance = { id: 'c1', service: 'api' } as Parameters<typeof deliverer.deliver>[0]
    const change = { type: 'delete', target: '/a' } as const
    return await deliverer.deliver(instance, [change], [], AbortSignal.timeout(1000)).catch((e: unknown) => e)
  }
  test.each([
    ['something is in its way', 'a rebuild brings it level: devstack up --build api'],
    [
      'container rootfs is marked read-only',
      'its root file system is read-only: use a rebuild rule instead of sync',
    ],
  ])('%s: says what to do instead', async (why, hint) => {
    expect(await refusal(why)).toMatchObject({ code: 'DELIVERY_FAILED', why, hint })
  })
})

describe('a channel', () => {
  test('delivers in order, also what comes while nobody reads, and ends', async () => {
    const channel = createChannel<number>()
    for (const value of [1, 2, 3]) channel.push(value)
    channel.close()
    channel.push(4)
    const seen: number[] = []
    for await (const value of channel) seen.push(value)
    expect(seen).toEqual([1, 2, 3])
  })
  test('a failure comes after what was queued', async () => {
    const channel = createChannel<number>()
    channel.push(1)
    channel.fail(new Error('broken'))
    const seen: number[] = []
    await expect(
      (async () => {
        for await (const value of channel) seen.push(value)
      })(),
    ).rejects.toThrow('broken')
    expect(seen).toEqual([1])
  })
  test('a source is held back until the reader has caught up', async () => {
    const channel = createChannel<number>()
    await channel.ready()
    for (let value = 0; value < 5000; value++) channel.push(value)
    let ready = false
    const waiting = channel.ready().then(() => (ready = true))
    await Promise.resolve()
    expect(ready).toBe(false)
    const reader = channel[Symbol.asyncIterator]()
    for (let value = 0; value < 5000; value++) await reader.next()
    void reader.next()
    await waiting
    expect(ready).toBe(true)
    channel.close()
  })
})
