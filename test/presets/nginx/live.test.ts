import { describe, expect, test } from 'vitest'
import { livePreset } from '../../../src/presets/live.js'
import { processesIn } from '../../../src/presets/nginx/processes.js'
import { FakeInside, files, never } from '../fake-inside.js'

const preset = livePreset('nginx', { folder: '/nowhere' }) ?? expect.fail('there is no nginx preset')

/** A container in which an nginx runs whose workers a reload replaces. */
function nginx(outcome: {
  readonly test?: { readonly exitCode: number; readonly lines: readonly string[] }
  readonly reload?: { readonly exitCode: number; readonly lines: readonly string[] }
}): FakeInside {
  const inside = new FakeInside()
  let workers = [8, 9]
  let leaving: readonly number[] = []
  inside.onRun = (argv) => {
    if (argv[0] === 'find') {
      const lines = [
        '/proc/7/cmdline:nginx: master process nginx -c /etc/nginx/shop/development.conf\0',
        ...leaving.map((pid) => `/proc/${String(pid)}/cmdline:nginx: worker process is shutting down`),
        ...workers.map((pid) => `/proc/${String(pid)}/cmdline:nginx: worker process\0\0`),
        '/proc/12/cmdline:find\0/proc\0nginx:\0',
      ]
      return { exitCode: 1, lines }
    }
    if (argv.includes('-t')) return outcome.test ?? { exitCode: 0, lines: ['nginx: ... test is successful'] }
    if (outcome.reload !== undefined) return outcome.reload
    leaving = workers
    workers = workers.map((pid) => pid + 10)
    return { exitCode: 0, lines: [] }
  }
  return inside
}

const commands = (inside: FakeInside) => inside.ran.filter(([program]) => program !== 'find')

describe('a delivered configuration', () => {
  test('is tested, then reloaded, and proven by workers that are all new', async () => {
    const inside = nginx({})
    const attached = await preset.attach(inside.context(), never)
    expect(attached.server).toEqual({ name: 'nginx', reason: null })
    expect(attached.first).toEqual({ type: 'taken', what: 'start', detail: '2 workers' })
    expect(await attached.takeUp(files('/etc/nginx/shop/api.conf'), never)).toEqual({
      type: 'taken',
      what: 'configuration',
      detail: '2 workers',
    })
    expect(commands(inside)).toEqual([
      ['nginx', '-c', '/etc/nginx/shop/development.conf', '-t'],
      ['nginx', '-c', '/etc/nginx/shop/development.conf', '-s', 'reload'],
    ])
  })

  test('that is bad is not reloaded: it is shown at its line, and the old one serves on', async () => {
    const lines = [
      'nginx: [warn] the "user" directive makes sense only with super-user privileges in /etc/nginx/a.conf:1',
      '2026/11/24 11:20:11 [emerg] 242#242: unknown directive "serve" in /etc/nginx/shop/api.conf:12',
      'nginx: [emerg] unknown directive "serve" in /etc/nginx/shop/api.conf:12',
      'nginx: configuration file /etc/nginx/shop/development.conf test failed',
    ]
    const inside = nginx({ test: { exitCode: 1, lines } })
    const attached = await preset.attach(inside.context(), never)
    expect(await attached.takeUp(files('/etc/nginx/shop/api.conf'), never)).toEqual({
      type: 'failed',
      message: 'unknown directive "serve"',
      place: { file: '/etc/nginx/shop/api.conf', line: 12, column: null },
      output: lines,
    })
    expect(commands(inside)).toHaveLength(1)
  })

  test('a failure without a line is told without one', async () => {
    const lines = ['nginx: [emerg] mkdir() "/x" failed (13: Permission denied)', 'test failed']
    const attached = await preset.attach(nginx({ test: { exitCode: 1, lines } }).context(), never)
    expect(await attached.takeUp(files('/a.conf'), never)).toMatchObject({
      message: 'mkdir() "/x" failed (13: Permission denied)',
      place: null,
    })
  })

  test('a master that cannot be told is restarted', async () => {
    const lines = ['nginx: [error] open() "/run/other.pid" failed (2: No such file or directory)']
    const attached = await preset.attach(nginx({ reload: { exitCode: 1, lines } }).context(), never)
    expect(await attached.takeUp(files('/a.conf'), never)).toEqual({ type: 'restart', reason: lines[0] })
  })

  test('what only the start script reads is restarted for', async () => {
    const attached = await preset.attach(nginx({}).context(), never)
    expect(await attached.takeUp(files('/etc/nginx/templates/default.conf.template'), never)).toMatchObject({
      type: 'restart',
    })
  })

  test('no file at all means: look up the others again', async () => {
    const inside = nginx({})
    const attached = await preset.attach(inside.context(), never)
    expect((await attached.takeUp(files(), never)).type).toBe('taken')
    expect(commands(inside)).toHaveLength(2)
  })
})

describe('which configuration is in use is read from the title of the master', () => {
  test.each([
    ['nginx -g daemon off;', 'nginx', ['-g', 'daemon off;']],
    ['/usr/sbin/nginx', '/usr/sbin/nginx', []],
    [
      'nginx -c /a.conf -g daemon off; user x; -p /srv',
      'nginx',
      ['-c', '/a.conf', '-g', 'daemon off; user x;', '-p', '/srv'],
    ],
    ['nginx -q -c/a.conf', 'nginx', ['-c', '/a.conf']],
  ])('%s', (title, program, options) => {
    expect(processesIn([`/proc/1/cmdline:nginx: master process ${title}\0\0`]).master).toEqual({
      program,
      options,
    })
  })

  test('other processes are none of it', () => {
    expect(
      processesIn([
        '/proc/3/cmdline:nginx: cache manager process',
        '/proc/4/cmdline:grep\0nginx: worker process',
        'find: /proc/5: No such file or directory',
      ]),
    ).toEqual({ master: null, workers: [] })
  })
})
