import { describe, expect, test } from 'vitest'
import { bindings, commandFor, footerItems, helpGroups } from '../../src/ui/tui/keymap.js'
import type { KeyContext } from '../../src/ui/tui/keymap.js'
import { initialUi } from '../../src/ui/tui/ui-state.js'
import { ready, starting, StorySource } from './story.js'

const api = ready(new StorySource()).getState().services['api'] ?? null
const waiting = starting(new StorySource()).getState().services['nginx'] ?? null

const up: KeyContext = {
  mode: 'up',
  ui: initialUi,
  phase: 'ready',
  selected: api,
  cancels: false,
  warnings: 0,
  approvals: 0,
  canOpen: true,
}
const comingUp: KeyContext = { ...up, phase: 'comingUp', cancels: true, canOpen: false, selected: null }
const attach: KeyContext = { ...up, mode: 'attach' }
const onLogs: KeyContext = { ...up, ui: { ...initialUi, focus: 'logs' } }
const stopping: KeyContext = { ...up, ui: { ...initialUi, leaving: 'stopping' } }

const footer = (context: KeyContext, width = 200): string =>
  footerItems(context, width)
    .map(({ key, label }) => `${key} ${label}`)
    .join('  ')

describe('footer', () => {
  test.each([
    ['coming up', comingUp, '↑↓ select  enter logs  ^C cancel  d detach  ? help'],
    [
      'ready',
      up,
      '↑↓ select  0 all  enter logs  o open  q stop all  d detach  w why  r restart  s stop  b rebuild  ? help',
    ],
    [
      'in the logs',
      onLogs,
      '↑↓ scroll  0 all  esc services  f pause  o open  q stop all  d detach  w why  r restart  s stop  b rebuild  ? help',
    ],
    [
      'attached',
      attach,
      '↑↓ select  0 all  enter logs  o open  q detach  w why  r restart  s stop  b rebuild  ? help',
    ],
    ['on the way out', stopping, '↑↓ select  0 all  enter logs  o open  ^C force  w why  ? help'],
    [
      'with warnings',
      { ...comingUp, warnings: 2 },
      '↑↓ select  enter logs  ^C cancel  d detach  ! warnings  ? help',
    ],
  ])('%s', (_name, context, text) => {
    expect(footer(context)).toBe(text)
  })

  test('a narrow one keeps the first keys, the way out and help', () => {
    expect(footer(up, 40)).toBe('↑↓ select  0 all  q stop all  ? help')
    expect(footer(up, 5)).toBe('q stop all  ? help')
  })

  test('every item that is shown does something, by the key that it names', () => {
    const names: Readonly<Record<string, string>> = { '↑↓': 'down', '^C': 'ctrl-c', esc: 'escape' }
    for (const context of [up, comingUp, attach, onLogs, stopping])
      for (const { key } of footerItems(context, 200))
        expect(commandFor(names[key] ?? key, context)).not.toBeNull()
  })
})

describe('keys', () => {
  test('Ctrl-C and q are the way out, and in attach only detach', () => {
    expect(commandFor('ctrl-c', comingUp)).toEqual({ do: 'leave' })
    expect(commandFor('q', up)).toEqual({ do: 'leave' })
    expect(commandFor('ctrl-c', attach)).toEqual({ do: 'detach' })
    expect(commandFor('q', attach)).toEqual({ do: 'detach' })
  })

  test('on the way out only Ctrl-C means something: it forces', () => {
    expect(commandFor('ctrl-c', stopping)).toEqual({ do: 'leave' })
    expect(commandFor('q', stopping)).toBeNull()
    expect(commandFor('r', stopping)).toBeNull()
  })

  test('a service is asked for what it can do', () => {
    const intent = (key: string, context: KeyContext): unknown => {
      const command = commandFor(key, context)
      return command?.do === 'intent' ? command.intent('api') : command
    }
    expect(intent('r', up)).toEqual({ type: 'restart', services: ['api'] })
    expect(intent('s', up)).toEqual({ type: 'stop', services: ['api'] })
    expect(intent('s', { ...up, selected: api === null ? null : { ...api, phase: 'failed' } })).toEqual({
      type: 'start',
      services: ['api'],
    })
    expect(intent('b', up)).toEqual({ type: 'rebuild', services: ['api'] })
    expect(intent('b', { ...up, selected: waiting })).toBeNull()
    expect(intent('r', { ...comingUp, selected: waiting })).toBeNull()
    expect(intent('r', { ...up, selected: null })).toBeNull()
  })

  test('y says yes only where something waits, and not on the way out', () => {
    expect(commandFor('y', up)).toBeNull()
    expect(commandFor('v', up)).toBeNull()
    expect(commandFor('y', { ...up, approvals: 1 })).toEqual({ do: 'approve' })
    expect(commandFor('v', { ...up, approvals: 1 })).toEqual({ do: 'ui', action: 'approvals' })
    expect(commandFor('y', { ...stopping, approvals: 1 })).toBeNull()
  })

  test('w asks why of what is watched', () => {
    expect(commandFor('w', up)).toEqual({ do: 'ui', action: 'why' })
    const redis = ready(new StorySource()).getState().services['redis'] ?? null
    expect(commandFor('w', { ...up, selected: redis })).toBeNull()
    expect(commandFor('w', { ...up, selected: null })).toBeNull()
  })

  test('numbers pick, unknown keys do nothing', () => {
    expect(commandFor('3', up)).toEqual({ do: 'pick', index: 3 })
    expect(commandFor('ctrl-x', up)).toBeNull()
    expect(commandFor('Z', up)).toBeNull()
  })
})

describe('help', () => {
  test('names every key that can mean something', () => {
    const text = JSON.stringify(helpGroups(up))
    for (const key of ['↑ k', '↓ j', 'enter tab', 'pgup', 'f space', '1-9', '? h', '^C'])
      expect(text).toContain(key)
    expect(text).not.toContain('"!"')
    expect(text).not.toContain('"y"')
    expect(JSON.stringify(helpGroups({ ...up, approvals: 1, warnings: 1 }))).toMatch(/"!".*|"y".*"v"/u)
  })

  test('every binding says what it does in at most 25 cells, in one of the groups', () => {
    for (const { help, keys } of bindings) {
      expect(help.length, keys.join()).toBeGreaterThan(3)
      expect(help.length, help).toBeLessThanOrEqual(25)
    }
  })
})
