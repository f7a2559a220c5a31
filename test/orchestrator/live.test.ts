import { afterEach, describe, expect, it, vi } from 'vitest'
import { DevstackError } from '../../src/core/error.js'
import type { Event } from '../../src/core/events.js'
import type { WatchRule } from '../../src/core/project.js'
import type { DeliveredFiles, LivePreset, TakeUpResult } from '../../src/orchestrator/ports.js'
import { createFakeEngine, type FakeEngine, type FakeService } from '../fakes/fake-engine.js'
import { FakeRecord, FakeSources, startSession, up, type Harness, type HarnessOptions } from './harness.js'

const running: Harness[] = []
const hosts: FakeSources[] = []

function host(files: Readonly<Record<string, string>> = {}): FakeSources {
  const sources = new FakeSources()
  for (const [name, text] of Object.entries(files)) sources.write(name, text, false)
  hosts.push(sources)
  return sources
}

const SOMEWHERE = { file: '/project/compose.yaml', line: 1, column: 1 }

function rule(sources: FakeSources, change: Partial<WatchRule> & { readonly from?: string } = {}): WatchRule {
  const { from = 'src', ...rest } = change
  const path = sources.path(from)
  const usual = { action: 'sync', target: '/app', ignore: [], include: [], initialSync: false } as const
  return { ...usual, path, exec: null, at: SOMEWHERE, ...rest }
}

const apiOf = (rules: readonly WatchRule[], rest: Partial<FakeService> = {}): FakeService => ({
  name: 'api',
  healthyAfter: 1,
  sources: { '/app/a.py': 'old' },
  watch: rules,
  ...rest,
})

type Started = Harness & { readonly engine: FakeEngine }

async function start(service: FakeService, options: HarnessOptions, engine?: FakeEngine): Promise<Started> {
  const made = engine ?? createFakeEngine({ name: 'demo', services: [service] })
  const harness = startSession(made, options)
  running.push(harness)
  await harness.session.handle(up)
  return { ...harness, engine: made }
}

const freshness = ({ session }: Harness) => session.store.getState().services['api']?.freshness
const live = async (harness: Harness): Promise<void> =>
  await vi.waitFor(() => expect(freshness(harness)?.state).toBe('live'), 5000)
const ofType = <T extends Event['type']>({ events }: Harness, type: T) =>
  events.filter((event): event is Extract<Event, { type: T }> => event.type === type)

/** A preset whose processes answer what the test says. */
class FakePreset implements LivePreset {
  readonly told: DeliveredFiles[] = []
  answers: TakeUpResult[] = []
  attached = 0
  fails: DevstackError | null = null
  offered: ReturnType<LivePreset['offer']> = null
  support = () => Promise.resolve([])
  offer = () => this.offered
  attach: LivePreset['attach'] = () => {
    this.attached++
    return Promise.resolve({
      server: { name: 'fake server', reason: null },
      first: { type: 'taken', what: 'start', detail: '' },
      takeUp: (files) => {
        this.told.push(files)
        if (this.fails !== null) return Promise.reject(this.fails)
        return Promise.resolve(this.answers.shift() ?? { type: 'taken', what: 'app', detail: '2 workers' })
      },
      close: () => undefined,
    })
  }
}

afterEach(async () => {
  await Promise.all(running.splice(0).map(({ session }) => session.end('the test is over')))
  for (const sources of hosts.splice(0)) sources.dispose()
})

describe('a save', () => {
  it('is delivered, told with its rule and steps, and live', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const harness = await start(apiOf([rule(sources)]), { sources })
    await live(harness)
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/a.py')).toBe('new'))
    await live(harness)
    const [update] = harness.session.store.getState().updates
    expect(update).toMatchObject({
      service: 'api',
      action: 'sync',
      files: [sources.path('src/a.py')],
      rules: [{ path: sources.path('src'), files: 1 }],
      outcome: 'live',
    })
    expect(update?.steps.map(({ name }) => name)).toEqual(['delivered', 'live'])
  })

  it('of the same bytes does nothing', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const harness = await start(apiOf([rule(sources)]), { sources })
    await live(harness)
    sources.write('src/a.py', 'old')
    sources.write('src/b.py', 'b')
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/b.py')).toBe('b'))
    expect(ofType(harness, 'filesChanged').map(({ files }) => files)).toEqual([[sources.path('src/b.py')]])
  })

  it('that nobody was told of is found before the service is called live', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const harness = await start(apiOf([rule(sources)]), { sources })
    await live(harness)
    sources.write('src/quiet.py', 'quiet', false)
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/quiet.py')).toBe('quiet'))
  })

  it('that nobody was told of is found when somebody asks', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const harness = await start(apiOf([rule(sources)]), { sources })
    await live(harness)
    sources.write('src/a.py', 'new', false)
    await harness.session.handle({ type: 'recheck' })
    expect(harness.engine.readFile('api', '/app/a.py')).toBe('new')
    expect(freshness(harness)?.state).toBe('live')
  })

  it('deletes what the Manifest or a delivery put there, and nothing else', async () => {
    const sources = host({ 'src/a.py': 'old', 'src/b.py': 'b' })
    const service = apiOf([rule(sources)], { sources: { '/app/a.py': 'old', '/app/b.py': 'b' } })
    const harness = await start(service, { sources })
    await live(harness)
    sources.remove('src/b.py')
    sources.remove('src/upload.bin')
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/b.py')).toBeNull())
    expect(ofType(harness, 'delivered').flatMap(({ deleted }) => deleted)).toEqual(['/app/b.py'])
  })

  it('that makes a folder of a file, and a file of a folder, is delivered whole', async () => {
    const sources = host({ 'src/a.py': 'old', 'src/c': 'file' })
    const harness = await start(apiOf([rule(sources)]), { sources })
    await live(harness)
    sources.remove('src/c', false)
    sources.write('src/c/d/x', 'x')
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/c/d/x')).toBe('x'))
    expect(harness.engine.readFile('api', '/app/c')).toBeNull()
    sources.remove('src/c/d/x', false)
    sources.rmdir('src/c')
    sources.write('src/c', 'file again')
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/c')).toBe('file again'))
    expect(harness.engine.readFile('api', '/app/c/d/x')).toBeNull()
  })

  it('that cannot be read is named once, and the rest is delivered', async () => {
    const sources = host({ 'src/a.py': 'old' })
    sources.write('src/pipe', '', false)
    sources.refused.set(sources.path('src/pipe'), 'it is a named pipe')
    const harness = await start(apiOf([rule(sources)]), { sources })
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/a.py')).toBe('new'))
    const warnings = ofType(harness, 'warned').map(({ message }) => message)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('it is a named pipe')
  })
})

describe('nothing is lost', () => {
  it('an edit made before the container starts is in it before it starts', async () => {
    const sources = host({ 'src/a.py': 'new' })
    const harness = await start(apiOf([rule(sources)]), { sources })
    expect(harness.engine.readFile('api', '/app/a.py')).toBe('new')
    const types = harness.types()
    expect(types.indexOf('delivered')).toBeLessThan(types.indexOf('instanceStarted'))
  })

  it('an edit and a deletion made while no session ran come with the next one', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const record = new FakeRecord()
    const first = await start(apiOf([rule(sources)]), { sources, record })
    await live(first)
    sources.write('src/delivered.py', 'x')
    await vi.waitFor(() => expect(first.engine.readFile('api', '/app/delivered.py')).toBe('x'))
    await live(first)
    await first.session.handle({ type: 'leave' })
    sources.write('src/a.py', 'new', false)
    sources.remove('src/delivered.py', false)
    const second = await start(apiOf([rule(sources)]), { sources, record }, first.engine.reopen())
    await live(second)
    expect(second.engine.readFile('api', '/app/a.py')).toBe('new')
    expect(second.engine.readFile('api', '/app/delivered.py')).toBeNull()
  })

  it('a recreated service is not built again for files that did not change', async () => {
    const sources = host({ 'src/a.py': 'old', 'req.txt': 'one' })
    const rules = [rule(sources), rule(sources, { action: 'rebuild', from: 'req.txt', target: null })]
    const harness = await start(apiOf(rules), { sources })
    await live(harness)
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/a.py')).toBe('new'))
    await live(harness)
    harness.engine.reconfigure('api')
    await harness.session.handle(up)
    await live(harness)
    expect(harness.engine.readFile('api', '/app/a.py')).toBe('new')
    expect(ofType(harness, 'updateDecided').map(({ action }) => action)).toEqual(['sync', 'sync'])
  })

  it('a failed delivery is tried again', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const harness = await start(apiOf([rule(sources)]), { sources })
    await live(harness)
    harness.engine.failNextDelivery(2)
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/a.py')).toBe('new'), 5000)
    await live(harness)
  })

  it('one that fails again and again is repaired by a rebuild', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const harness = await start(apiOf([rule(sources)]), { sources })
    await live(harness)
    harness.engine.failNextDelivery(3)
    const builds = (): number => harness.engine.log.filter((line) => line === 'build api').length
    const before = builds()
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(builds()).toBe(before + 1), 5000)
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/a.py')).toBe('new'))
    await live(harness)
    expect(ofType(harness, 'updateFailed')).toMatchObject([{ step: 'deliver', waitsFor: 'a rebuild' }])
  })

  it('asks before everything of a watched folder is deleted', async () => {
    const sources = host({ 'src/a.py': 'old', 'src/b.py': 'b' })
    const service = apiOf([rule(sources)], { sources: { '/app/a.py': 'old', '/app/b.py': 'b' } })
    const harness = await start(service, { sources, record: new FakeRecord() })
    await live(harness)
    await harness.session.handle({ type: 'leave' })
    sources.remove('src/a.py', false)
    sources.remove('src/b.py', false)
    const next = await start(service, { sources }, harness.engine.reopen())
    await vi.waitFor(() => expect(next.session.store.getState().approvals).toHaveLength(1))
    expect(freshness(next)?.waitingFor).toContain('devstack approve delete-api')
    expect(next.engine.readFile('api', '/app/b.py')).toBe('b')
    await next.session.handle({ type: 'approve', hold: 'delete-api' })
    await vi.waitFor(() => expect(next.engine.readFile('api', '/app/b.py')).toBeNull())
    expect(next.session.store.getState().approvals).toEqual([])
  })

  it('a deletion that waits is forgotten when the files are back', async () => {
    const sources = host()
    const service = apiOf([rule(sources)], { sources: { '/app/a.py': 'old', '/app/b.py': 'b' } })
    const harness = await start(service, { sources })
    await vi.waitFor(() => expect(harness.session.store.getState().approvals).toHaveLength(1))
    sources.write('src/a.py', 'old')
    sources.write('src/b.py', 'b')
    await vi.waitFor(() => expect(harness.session.store.getState().approvals).toEqual([]))
    await live(harness)
  })
})

describe('the processes', () => {
  it('are told of what was delivered, and their proof makes it live', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const preset = new FakePreset()
    const harness = await start(apiOf([rule(sources)]), { sources, preset })
    await live(harness)
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(preset.told).toEqual([{ written: ['/app/a.py'], deleted: [] }]))
    await live(harness)
    expect(ofType(harness, 'reloaded')).toMatchObject([{ what: 'app', detail: '2 workers' }])
    expect(harness.session.store.getState().services['api']?.server).toEqual({
      name: 'fake server',
      reason: null,
    })
  })

  it('that refuse keep it stale with the place on the host, until a save mends it', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const preset = new FakePreset()
    const harness = await start(apiOf([rule(sources)]), { sources, preset })
    await live(harness)
    const place = { file: '/app/a.py', line: 3, column: null }
    preset.answers = [{ type: 'failed', message: 'SyntaxError', place, output: [] }]
    sources.write('src/a.py', 'broken')
    await vi.waitFor(() => expect(freshness(harness)?.state).toBe('stale'))
    expect(ofType(harness, 'updateFailed')).toMatchObject([
      { step: 'reload', message: 'SyntaxError', place: { file: sources.path('src/a.py'), line: 3 } },
    ])
    sources.write('src/a.py', 'mended')
    await live(harness)
  })

  it('that cannot be told leave the freshness unknown, and the session alive', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const preset = new FakePreset()
    preset.fails = new DevstackError('EXEC_FAILED', 'the pipe broke')
    const harness = await start(apiOf([rule(sources)]), { sources, preset })
    await live(harness)
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(freshness(harness)?.waitingFor).toBe('the pipe broke'))
    expect(freshness(harness)?.state).toBe('unknown')
  })

  it('that can only be restarted are restarted, and attached to anew', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const preset = new FakePreset()
    const harness = await start(apiOf([rule(sources)]), { sources, preset })
    await live(harness)
    preset.answers = [{ type: 'restart', reason: 'a C extension changed' }]
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(preset.attached).toBe(2))
    await live(harness)
    expect(harness.engine.log.filter((line) => line === 'start api')).toHaveLength(2)
  })

  it('that cannot be asked leave the freshness unknown', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const preset = new FakePreset()
    preset.attach = () => Promise.reject(new DevstackError('EXEC_FAILED', 'no Python there'))
    const harness = await start(apiOf([rule(sources)]), { sources, preset })
    await vi.waitFor(() => expect(freshness(harness)?.waitingFor).toBe('no Python there'))
    expect(freshness(harness)?.state).toBe('unknown')
  })

  it('see a bind mount by themselves: nothing is delivered, but they are told', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const preset = new FakePreset()
    const binds = [{ source: sources.path('src'), target: '/app' }]
    const harness = await start(apiOf([rule(sources)], { binds, sources: {} }), { sources, preset })
    await live(harness)
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(preset.told).toEqual([{ written: ['/app/a.py'], deleted: [] }]))
    expect(ofType(harness, 'delivered')).toEqual([])
  })

  it('are offered a migration, which runs only when it is approved', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const preset = new FakePreset()
    preset.offered = { text: 'a migration changed', argv: ['flask', 'db', 'upgrade'] }
    const harness = await start(apiOf([rule(sources)]), { sources, preset })
    const commands: (readonly string[])[] = []
    harness.engine.onRun((_instance, { argv }) => {
      commands.push(argv)
      return 0
    })
    await live(harness)
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(harness.session.store.getState().approvals).toHaveLength(1))
    expect(commands).toEqual([])
    await harness.session.handle({ type: 'approve', hold: 'migrate-api' })
    expect(commands).toEqual([['flask', 'db', 'upgrade']])
  })
})

describe('rules', () => {
  it('sync+restart delivers, then restarts', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const harness = await start(apiOf([rule(sources, { action: 'sync+restart' })]), { sources })
    await live(harness)
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(harness.engine.log.filter((line) => line === 'start api')).toHaveLength(2))
    expect(harness.engine.readFile('api', '/app/a.py')).toBe('new')
    await live(harness)
  })

  it('rebuild builds for a change of content only', async () => {
    const sources = host({ 'src/a.py': 'old', 'req.txt': 'one' })
    const rules = [rule(sources), rule(sources, { action: 'rebuild', from: 'req.txt', target: null })]
    const harness = await start(apiOf(rules), { sources })
    await live(harness)
    const builds = (): number => harness.engine.log.filter((line) => line === 'build api').length
    const before = builds()
    sources.write('req.txt', 'one')
    sources.write('req.txt', 'two')
    await vi.waitFor(() => expect(builds()).toBe(before + 1))
    await live(harness)
    expect(harness.session.store.getState().updates[0]).toMatchObject({ action: 'rebuild', outcome: 'live' })
  })

  it('a build that a newer save supersedes is given up, and the old container goes on', async () => {
    const sources = host({ 'req.txt': 'one' })
    const rules = [rule(sources, { action: 'rebuild', from: 'req.txt', target: null })]
    const harness = await start(apiOf(rules, { sources: {}, buildTakes: 300 }), { sources })
    await live(harness)
    sources.write('req.txt', 'two')
    await vi.waitFor(() => expect(harness.engine.building()).toEqual(['api']))
    sources.write('req.txt', 'three')
    await vi.waitFor(() => expect(ofType(harness, 'updateDecided')).toHaveLength(2))
    expect(harness.phase('api')).toBe('running')
    await live(harness)
    expect(ofType(harness, 'stackFailed')).toEqual([])
    expect(ofType(harness, 'operationSucceeded').filter(({ kind }) => kind === 'buildService')).toHaveLength(
      2,
    )
  })

  it('sync+exec runs its command after the files are there; one that fails waits for the next save', async () => {
    const sources = host({ 'src/req.txt': 'one' })
    const exec = { argv: ['pip', 'install'], user: null, workdir: '/app', env: {} }
    const command = rule(sources, { action: 'sync+exec', exec, from: 'src/req.txt', target: '/app/req.txt' })
    const rules = [rule(sources), command]
    const harness = await start(apiOf(rules, { sources: { '/app/req.txt': 'one' } }), { sources })
    await live(harness)
    const exits = [1, 0]
    harness.engine.onRun((_instance, _request, output) => {
      output('no such version')
      return exits.shift() ?? 0
    })
    sources.write('src/req.txt', 'two')
    await vi.waitFor(() => expect(freshness(harness)?.state).toBe('stale'))
    expect(ofType(harness, 'commandRan')).toMatchObject([{ argv: ['pip', 'install'], exitCode: 1 }])
    // Another file's save gets through, and does not hide that the command is still to succeed.
    sources.write('src/a.py', 'other')
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/a.py')).toBe('other'))
    expect(ofType(harness, 'freshnessChanged').at(-1)?.state).not.toBe('live')
    sources.write('src/req.txt', 'three')
    await live(harness)
    expect(ofType(harness, 'commandRan')).toHaveLength(2)
  })

  it('a command that cannot be run at all is told, and is no reason to be called live', async () => {
    const sources = host({ 'src/req.txt': 'one' })
    const exec = { argv: ['pip'], user: null, workdir: '/app', env: {} }
    const rules = [rule(sources, { action: 'sync+exec', exec })]
    const harness = await start(apiOf(rules, { sources: { '/app/req.txt': 'one' } }), { sources })
    await live(harness)
    harness.engine.onRun(() => Promise.reject(new DevstackError('EXEC_FAILED', 'there is no pip')))
    sources.write('src/req.txt', 'two')
    await vi.waitFor(() => expect(freshness(harness)?.waitingFor).toContain('there is no pip'))
    expect(freshness(harness)?.state).toBe('stale')
  })

  it('a command that did not succeed before the session ended is run by the next one', async () => {
    const sources = host({ 'src/req.txt': 'one' })
    const record = new FakeRecord()
    const exec = { argv: ['pip'], user: null, workdir: '/app', env: {} }
    const service = apiOf([rule(sources, { action: 'sync+exec', exec })], {
      sources: { '/app/req.txt': 'one' },
    })
    const first = await start(service, { sources, record })
    await live(first)
    first.engine.onRun(() => 1)
    sources.write('src/req.txt', 'two')
    await vi.waitFor(() => expect(ofType(first, 'commandRan')).toHaveLength(1))
    await first.session.handle({ type: 'leave' })
    const engine = first.engine.reopen()
    engine.onRun(() => 0)
    const second = await start(service, { sources, record }, engine)
    await live(second)
    expect(ofType(second, 'commandRan')).toMatchObject([{ argv: ['pip'], exitCode: 0 }])
    await second.session.handle({ type: 'leave' })
    const third = await start(service, { sources, record }, engine.reopen())
    await live(third)
    expect(ofType(third, 'commandRan')).toEqual([])
  })
})

describe('a file that devstack.yaml brings back', () => {
  const exec = { argv: ['npm', 'install'], user: null, workdir: '/app', env: {} }
  const started = async () => {
    const sources = host({ 'src/package.json': 'one', 'src/lock': 'one' })
    const rules = [rule(sources, { action: 'sync+exec', exec })]
    const service = apiOf(rules, { sources: { '/app/package.json': 'one', '/app/lock': 'one' } })
    const harness = await start(service, { sources, bringBack: [sources.path('src/lock')] })
    await live(harness)
    // What the command wrote; what is delivered later replaces it.
    const held = ['two']
    harness.engine.onRun((_instance, { argv }, output) => {
      const text = held.shift() ?? harness.engine.readFile('api', '/app/lock') ?? ''
      if (argv[0] === 'base64') output(Buffer.from(text).toString('base64'))
      else held.unshift(text)
      return 0
    })
    return { harness, sources }
  }

  it('is on the host after the command, and is not delivered again', async () => {
    const { harness, sources } = await started()
    sources.write('src/package.json', 'two')
    await vi.waitFor(() => expect(sources.files.get(sources.path('src/lock'))).toBe('two'))
    await live(harness)
    expect(ofType(harness, 'broughtBack')).toMatchObject([{ files: [sources.path('src/lock')] }])
    expect(ofType(harness, 'delivered').flatMap(({ written }) => written)).toEqual(['/app/package.json'])
  })

  it('that cannot be written is told, and the session goes on', async () => {
    const { harness, sources } = await started()
    sources.replace = () => Promise.reject(new Error('ENOSPC: no space left on device'))
    sources.write('src/package.json', 'two')
    await vi.waitFor(() => expect(ofType(harness, 'warned')[0]?.message).toContain('ENOSPC'))
    await live(harness)
  })

  it('stays as it is where it was changed on the host meanwhile', async () => {
    const { harness, sources } = await started()
    sources.write('src/lock', 'mine', false)
    sources.write('src/package.json', 'two')
    await vi.waitFor(() => expect(ofType(harness, 'warned')).not.toEqual([]))
    expect(ofType(harness, 'warned')[0]?.message).toContain('changed on the host meanwhile')
    await live(harness)
    expect(sources.files.get(sources.path('src/lock'))).toBe('mine')
  })
})

describe("a preset's installation", () => {
  it('that fails in the container is done by a rebuild', async () => {
    const sources = host({ 'src/req.txt': 'one' })
    const exec = { argv: ['pip', 'install'], user: null, workdir: '/app', env: {} }
    const rules = [rule(sources, { action: 'sync+exec', exec, at: null })]
    const harness = await start(apiOf(rules, { sources: { '/app/req.txt': 'one' } }), { sources })
    await live(harness)
    const builds = (): number => harness.engine.log.filter((line) => line === 'build api').length
    const before = builds()
    harness.engine.onRun(() => 1)
    sources.write('src/req.txt', 'two')
    await vi.waitFor(() => expect(builds()).toBe(before + 1))
    await live(harness)
  })
})

describe('a watch that breaks', () => {
  it('is told, nothing is called live any more, and the next up watches again', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const harness = await start(apiOf([rule(sources)]), { sources })
    await live(harness)
    sources.break(new DevstackError('OPERATION_FAILED', 'the watcher ended'))
    await vi.waitFor(() => expect(freshness(harness)?.state).toBe('unknown'))
    expect(freshness(harness)?.waitingFor).toContain('the watcher ended')
    await harness.session.handle(up)
    await live(harness)
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(harness.engine.readFile('api', '/app/a.py')).toBe('new'))
  })
})

describe('an instance that ran before anybody watched', () => {
  it('is asked for what was delivered to it before, and is stale where that has failed', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const first = await start(apiOf([rule(sources)]), { sources })
    await live(first)
    await first.session.handle({ type: 'leave' })
    const preset = new FakePreset()
    preset.answers = [{ type: 'failed', message: 'SyntaxError', place: null, output: [] }]
    const second = await start(apiOf([rule(sources)]), { sources, preset }, first.engine.reopen())
    await vi.waitFor(() => expect(freshness(second)?.state).toBe('stale'))
    expect(preset.told).toEqual([{ written: [], deleted: [] }])
  })
})

describe('while the engine does not answer', () => {
  it('a save waits, is tried again, and is never called live before it is there', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const harness = await start(apiOf([rule(sources)]), { sources })
    await live(harness)
    harness.engine.lose()
    sources.write('src/a.py', 'new')
    await vi.waitFor(() => expect(freshness(harness)?.state).toBe('stale'), 5000)
    harness.engine.recover()
    await vi.waitFor(() => expect(freshness(harness)?.state).toBe('live'), 10_000)
    expect(harness.engine.readFile('api', '/app/a.py')).toBe('new')
  })
})

describe('an instance that somebody else touched', () => {
  it('gets what was installed in the one before it before it is live', async () => {
    const sources = host({ 'src/req.txt': 'one' })
    const exec = { argv: ['pip', 'install'], user: null, workdir: '/app', env: {} }
    const rules = [rule(sources, { action: 'sync+exec', exec })]
    const harness = await start(apiOf(rules, { sources: { '/app/req.txt': 'one' } }), { sources })
    harness.engine.onRun(() => 0)
    await live(harness)
    sources.write('src/req.txt', 'two')
    await vi.waitFor(() => expect(ofType(harness, 'commandRan')).toHaveLength(1))
    await live(harness)
    harness.engine.reconfigure('api')
    await harness.session.handle(up)
    await vi.waitFor(() => expect(ofType(harness, 'commandRan')).toHaveLength(2))
    await live(harness)
    const [first, second] = ofType(harness, 'commandRan').map(({ instance }) => instance)
    expect(first).not.toBe(second)
  })

  it('is brought level after it crashed and was started again', async () => {
    const sources = host({ 'src/a.py': 'old' })
    const harness = await start(apiOf([rule(sources)]), { sources })
    await live(harness)
    harness.engine.crash('api', 1)
    await vi.waitFor(() => expect(freshness(harness)?.state).toBe('unknown'))
    sources.write('src/a.py', 'new')
    await harness.session.handle({ type: 'start', services: ['api'] })
    await live(harness)
    expect(harness.engine.readFile('api', '/app/a.py')).toBe('new')
  })
})

describe("the project's own files", () => {
  const withInputs = async (autoApply: boolean) => {
    const sources = host({ 'compose.yaml': 'one', 'src/a.py': 'old' })
    const engine = createFakeEngine({
      name: 'demo',
      services: [apiOf([rule(sources)])],
      inputs: [sources.path('compose.yaml')],
    })
    const harness: Started = { ...startSession(engine, { sources }), engine }
    running.push(harness)
    await harness.session.handle({ ...up, autoApply })
    await live(harness)
    return { harness, engine, sources }
  }

  it('make a new plan that is held until it is approved', async () => {
    const { harness, engine, sources } = await withInputs(false)
    engine.reconfigure('api')
    sources.write('compose.yaml', 'two')
    await vi.waitFor(() => expect(harness.session.store.getState().approvals).toHaveLength(1))
    const [approval] = harness.session.store.getState().approvals
    expect(approval).toMatchObject({ id: 'plan', kind: 'plan', service: null })
    expect(approval?.text).toContain('compose.yaml changed: ')
    expect(engine.log.filter((line) => line === 'create api')).toHaveLength(1)
    await harness.session.handle({ type: 'approve', hold: 'plan' })
    expect(engine.log.filter((line) => line === 'create api')).toHaveLength(2)
    await live(harness)
  })

  it('are applied at once where that was asked for', async () => {
    const { harness, engine, sources } = await withInputs(true)
    engine.reconfigure('api')
    sources.write('compose.yaml', 'two')
    await vi.waitFor(() => expect(engine.log.filter((line) => line === 'create api')).toHaveLength(2))
    await live(harness)
    expect(ofType(harness, 'approvalRequested')).toEqual([])
  })

  it('saved with the same bytes, or with what changes no container, ask for nothing', async () => {
    const { harness, engine, sources } = await withInputs(false)
    sources.write('compose.yaml', 'one')
    sources.write('compose.yaml', 'one # and a comment')
    await vi.waitFor(() => expect(ofType(harness, 'upStarted')).toHaveLength(2))
    await live(harness)
    expect(engine.log.filter((line) => line === 'create api')).toHaveLength(1)
    expect(ofType(harness, 'approvalRequested')).toEqual([])
  })
})

describe('nginx in front of a service', () => {
  it('looks its addresses up again when that service has a new container', async () => {
    const sources = host({ 'src/nginx.conf': 'one' })
    const preset = new FakePreset()
    const front: FakeService = {
      name: 'front',
      healthyAfter: 1,
      preset: 'nginx',
      dependsOn: [{ service: 'api', condition: 'service_healthy', required: true }],
      sources: { '/app/nginx.conf': 'one' },
      watch: [rule(sources)],
    }
    const engine = createFakeEngine({ name: 'demo', services: [{ name: 'api', healthyAfter: 1 }, front] })
    const harness: Started = { ...startSession(engine, { sources, preset }), engine }
    running.push(harness)
    await harness.session.handle(up)
    await vi.waitFor(() => expect(preset.attached).toBe(1))
    await harness.session.handle({ type: 'restart', services: ['api'] })
    await vi.waitFor(() => expect(preset.told).toContainEqual({ written: [], deleted: [] }))
    expect(ofType(harness, 'reloaded')).toEqual([])
  })
})
