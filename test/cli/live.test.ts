import { describe, expect, it } from 'vitest'
import { DevstackError } from '../../src/core/error.js'
import type { Intent } from '../../src/core/intents.js'
import { fresh, held, rebuilding, refuse, saved, stale, StorySource, syncing, takeUp } from '../ui/story.js'
import type { Hello } from '../../src/host/session/protocol.js'
import { fakeProject, type Ran } from './fake-session.js'

type Tell = (source: StorySource) => StorySource

/** What a command line does while a session tells a story. */
async function during(
  tell: Tell,
  argv: readonly string[],
  then: (source: StorySource) => void = () => undefined,
) {
  await using project = await fakeProject()
  const source = tell(new StorySource())
  await using _session = await project.serve(source)
  const running = project.run(...argv)
  then(source)
  return { ...(await running), sent: source.sent as readonly Intent[] }
}

describe('devstack why', () => {
  it('tells the last update from the file to the running code', async () => {
    const { code, out } = await during(saved, ['why', 'api'])
    expect(code).toBe(0)
    expect(out).toContain('api: live (12:10:00, 31 ms after the save)\n')
    expect(out).toContain('/home/dev/shop/api/src/shop/app.py  sync  /home/dev/shop/compose.yaml:52\n')
    expect(out).toContain(
      'delivered +7 ms (1 file, 3.1 kB) · reloaded +30 ms (app: 2 workers) · live +31 ms\n',
    )
  })

  it('tells more with --last, and all in a line each with --all', async () => {
    expect((await during(rebuilding, ['why', 'api'])).out).not.toContain('app.py')
    expect((await during(rebuilding, ['why', 'api', '--last', '2'])).out).toContain('app.py')
    const { out } = await during(rebuilding, ['why', 'api', '--all'])
    expect(out).toContain('api: pending: its new image\n')
    expect(out.split('\n').slice(2, 5)).toEqual([
      '  NOTICED   ACTION   OUTCOME        FILES',
      '  12:11:00  rebuild  under way      /home/dev/shop/api/requirements.txt',
      '  12:10:00  sync     live in 31 ms  /home/dev/shop/api/src/shop/app.py',
    ])
  })

  it('prints devstack.why/1', async () => {
    const { out } = await during(stale, ['why', 'api', '--json'])
    expect(JSON.parse(out)).toMatchObject({
      schema: 'devstack.why/1',
      service: 'api',
      freshness: { state: 'stale', waitingFor: expect.stringContaining('a save that mends') as string },
      server: { name: 'devstack reloader', reason: null },
      approvals: [],
      updates: [
        {
          batch: 1,
          action: 'sync',
          files: ['/home/dev/shop/api/src/shop/app.py'],
          rules: [{ action: 'sync', at: { file: '/home/dev/shop/compose.yaml', line: 52 } }],
          steps: [{ name: 'delivered', durationMs: 5 }],
          outcome: 'failed',
          failure: { step: 'reload', place: { line: 3 }, output: expect.any(Array) as unknown },
        },
      ],
    })
  })

  it('exits 2 on an unknown service and on a number of updates that is none', async () => {
    expect(await during(saved, ['why', 'apo'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean "api"?') as string,
    })
    expect((await during(saved, ['why', 'api', '--last', 'few'])).code).toBe(2)
  })

  it('exits 1 where no session runs, and says what to do', async () => {
    await using project = await fakeProject()
    expect(await project.run('why', 'api')).toMatchObject({
      code: 1,
      err: expect.stringContaining('try: devstack up --detach') as string,
    })
  })
})

describe('devstack approve', () => {
  it('lists what waits, and what each would do', async () => {
    const { code, out, sent } = await during(held, ['approve'])
    expect(code).toBe(0)
    expect(out).toContain(
      'plan-2  compose.yaml changed: recreate api\n  recreate api: env changed: FLASK_ENV\n',
    )
    expect(out).toContain('delete-web  214 of 230')
    expect(sent).toEqual([])
    expect((await during(saved, ['approve', '--list'])).out).toBe('nothing waits for you\n')
    const lines = (await during(held, ['approve', '--json'])).out.trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { id: string }).id)).toEqual(['plan-2', 'delete-web'])
  })

  it('lets one go', async () => {
    const { code, out, sent } = await during(held, ['approve', 'delete-web'])
    expect(code).toBe(0)
    expect(out).toContain('approved delete-web')
    expect(sent).toEqual([{ type: 'approve', hold: 'delete-web' }])
  })

  it('exits 2 on a hold that does not wait, in the words of the session', async () => {
    const refusing: Tell = (source) => {
      source.onSend = () =>
        Promise.reject(
          new DevstackError('USAGE', 'nothing waits under the name "plan-3"', {
            cause: 'these wait: plan-2',
            hint: 'did you mean "plan-2"?',
          }),
        )
      return held(source)
    }
    const { code, out, err } = await during(refusing, ['approve', 'plan-3'])
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toBe(
      'error: nothing waits under the name "plan-3"\n  cause: these wait: plan-2\n  try: did you mean "plan-2"?\n',
    )
  })

  it('exits 1 where what was approved fails, with why', async () => {
    const failing: Tell = (source) => {
      source.onSend = () => {
        const failures = [{ service: 'api', cause: 'exited 1' }]
        source.emit({ type: 'stackFailed', durationMs: 900, cancelled: false, failures })
        return Promise.resolve()
      }
      return held(source)
    }
    const { code, out, err } = await during(failing, ['approve', 'plan-2'])
    expect(code).toBe(1)
    expect(out).toBe('')
    expect(err).toContain('error: plan-2 was approved, and failed\n  cause: api: exited 1\n')
    expect((await during(failing, ['restart', 'api'])).code).toBe(1)
  })
})

describe('devstack wait --for fresh', () => {
  it('returns at once where all code runs', async () => {
    const { code, out } = await during(saved, ['wait', '--for', 'fresh'])
    expect(out).toMatch(/^nginx, api, .*: fresh after/u)
    expect(code).toBe(0)
  })

  it('waits until the saved code runs', async () => {
    let live = false
    const { code } = await during(syncing, ['wait', '--for', 'fresh', 'api'], (source) => {
      setTimeout(() => {
        live = true
        takeUp(source)
      }, 300)
    })
    expect(live).toBe(true)
    expect(code).toBe(0)
  })

  it('says why a save does not run, goes on waiting, and exits 1 with what it waits for', async () => {
    const { code, err } = await during(stale, ['wait', '--for', 'fresh', 'api', '--timeout', '500ms'])
    expect(code).toBe(1)
    const why = 'api: stale: SyntaxError: invalid syntax  shop/app.py:3'
    expect(err.split('\n')[0]).toBe(why)
    expect(err).toContain(`cause: ${why}`)
    expect(err).toContain('devstack why api')
  })

  it('returns when a save that did not run is mended', async () => {
    const { code, err } = await during(stale, ['wait', '--for', 'fresh', 'api'], (source) => {
      setTimeout(() => takeUp(source), 300)
    })
    expect(code).toBe(0)
    expect(err).toContain('stale')
  })

  it('takes what nothing is watched of as fresh when it runs', async () => {
    expect((await during(stale, ['wait', '--for', 'fresh', 'redis'])).code).toBe(0)
  })

  it('asks nobody who watches for that', async () => {
    await using project = await fakeProject()
    // A short command's: it watches nothing.
    await using _session = await project.serve(fresh(new StorySource()), { lasting: false })
    expect(await project.run('wait', '--for', 'fresh', 'redis', 'migrate')).toMatchObject({
      code: 0,
      err: '',
    })
    const watched = await project.run('wait', '--for', 'fresh', 'redis', 'api', '--timeout', '10ms')
    expect(watched.err).toContain('watches the sources yet; devstack up --detach starts one')
  })

  it('tells it as JSON', async () => {
    const argv = ['wait', '--for', 'fresh', 'api', 'web', '--timeout', '300ms', '--json']
    const { code, out } = await during((source) => refuse(syncing(source)), argv)
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      for: 'fresh',
      services: ['api', 'web'],
      reached: false,
      missing: ['api'],
      waitingFor: { api: 'stale: SyntaxError: invalid syntax  shop/app.py:3' },
    })
  })

  it('keeps its time where the session does not answer, whatever was known before', async () => {
    const argv = ['wait', '--for', 'fresh', 'api', '--timeout', '300ms']
    const silent: Tell = (source) => {
      source.onSend = () => new Promise(() => undefined)
      return source
    }
    const { code, out, err } = await during((source) => saved(silent(source)), argv)
    expect(code).toBe(1)
    expect(out).toBe('')
    expect(err).toContain('cause: api: the session to look at its files\n')
    expect((await during((source) => stale(silent(source)), argv)).err).toContain('cause: api: stale: Syntax')
  })

  it('never calls fresh what nothing is known of', async () => {
    const silent: Tell = (source) => {
      source.onSend = () => new Promise(() => undefined)
      return source
    }
    const { code, out, err } = await during(silent, ['wait', '--for', 'fresh', '--timeout', '300ms'])
    expect(code).toBe(1)
    expect(out).toBe('')
    expect(err).toMatch(
      /^error: not fresh after 300ms: nothing is known of the services yet\n {2}cause: .*\n {2}try: /u,
    )
    const json = await during(silent, ['wait', '--for', 'fresh', 'api', '--timeout', '300ms', '--json'])
    expect(json.code).toBe(1)
    expect(JSON.parse(json.out)).toMatchObject({ reached: false, services: ['api'], missing: ['api'] })
    const empty = await during((source) => source, ['wait', '--for', 'fresh', '--timeout', '300ms'])
    expect(empty).toMatchObject({ code: 1, out: '' })
  })

  it('exits 2 on an unknown service', async () => {
    expect((await during(fresh, ['wait', '--for', 'fresh', 'apo'])).code).toBe(2)
  })
})

describe('a session of another build', () => {
  async function beside(hello: Partial<Hello>, argv: readonly string[]): Promise<Ran> {
    await using project = await fakeProject()
    await using _session = await project.serve(saved(new StorySource()), hello)
    return await project.run(...argv)
  }

  it.each([
    ['why', ['why', 'api']],
    ['approve', ['approve']],
    ['attach', ['attach', '--ui', 'plain']],
  ])('is named by %s, with what to do', async (_name, argv) => {
    const { code, out, err } = await beside({ build: 'older' }, argv)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toMatch(/^error: the running session of .* is of another build of devstack\n/u)
    expect(err).toContain('try: devstack up --detach ends it')
  })

  it.each([{ build: 'older' }, { protocol: 0 }])(
    'is none to ls (%o), which tells of the others',
    async (hello) => {
      const { code, out } = await beside(hello, ['ls'])
      expect(code).toBe(0)
      expect(out).toMatch(/compose +no session/u)
    },
  )

  it('is none to status, which asks the engine', async () => {
    // The engine of these tests does not answer: that it was asked shows.
    expect(await beside({ build: 'older' }, ['status'])).toMatchObject({
      code: 3,
      err: expect.stringContaining('engine') as string,
    })
    expect((await beside({ protocol: 0 }, ['status'])).code).toBe(3)
    expect((await beside({}, ['status'])).code).not.toBe(3)
  })
})

describe('devstack status', () => {
  it('has a column of freshness, the server that answers, and what waits', async () => {
    const { out } = await during(held, ['status'])
    expect(out).toMatch(/SERVICE +STATE +FRESH +IMAGE +ADDRESS/u)
    expect(out).toMatch(/● api +healthy +live, 31 ms/u)
    expect(out).toContain('note: api: answered by devstack reloader')
    expect(out).toContain('waits for you: compose.yaml changed: recreate api; devstack approve plan-2')
    expect((await during(stale, ['status'])).out).toContain(
      'stale: SyntaxError: invalid syntax  shop/app.py:3',
    )
  })

  it('tells freshness with the last change as JSON', async () => {
    const { out } = await during(saved, ['status', '--json'])
    const { services } = JSON.parse(out) as { services: readonly { name: string }[] }
    expect(services.find(({ name }) => name === 'api')).toMatchObject({
      freshness: {
        state: 'live',
        waitingFor: null,
        lastChange: {
          file: '/home/dev/shop/api/src/shop/app.py',
          seq: 1,
          savedAt: expect.stringMatching(/00\.000Z$/u) as string,
          syncedAt: expect.stringMatching(/00\.007Z$/u) as string,
          liveAt: expect.stringMatching(/00\.031Z$/u) as string,
        },
      },
      server: { name: 'devstack reloader', reason: null },
    })
    expect(services.find(({ name }) => name === 'redis')).toMatchObject({
      freshness: { lastChange: null },
      server: null,
    })
  })
})
