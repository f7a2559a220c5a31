import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BindMount } from '../../src/core/project.js'
import { readRules, resolvePath } from '../../src/core/watch.js'
import type { WatchEntry } from '../../src/core/watch.js'

const at = (index: number, key: readonly string[]) => ({
  file: 'compose.yaml',
  line: index + 1,
  column: key.length,
})

const read = (entries: readonly WatchEntry[], binds: readonly BindMount[] = []) =>
  readRules({ service: 'api', binds, roots: ['/shop', '/elsewhere'] }, [{ entries, folder: '/shop', at }])

/** The one rule that is read, or the one problem. */
const one = (entry: WatchEntry, binds: readonly BindMount[] = []) => {
  const { rules, problems } = read([entry], binds)
  expect(rules.length + problems.length).toBe(1)
  return rules[0] ?? problems[0]
}

/** `sync a /app`: action, path, target. */
const written = (text: string): WatchEntry => {
  const [action = '', path = '', target] = text.split(' ')
  return { action, path, ...(target === undefined ? {} : { target }) }
}

describe('a rule that makes no sense is a problem at its place, and is left out', () => {
  test.each([
    [{ action: 'sync', target: '/app' }, 'no path'],
    [{ action: 'sync', path: '', target: '/app' }, 'no path'],
    [{ action: 'sync', path: 'x' }, 'sync without a target'],
    [{ action: 'sync', path: 'x', target: 'app' }, 'the target "app" is not an absolute path'],
    [{ action: 'synk', path: 'x', target: '/app' }, 'unknown action "synk"'],
    [{ path: 'x' }, 'no action'],
    [{ action: 'sync', path: '/etc', target: '/app' }, '/etc is outside of the project'],
    [{ action: 'restart', path: '../other' }, '/other is outside of the project'],
    [{ action: 'restart', path: '/' }, '/ is outside of the project'],
    [{ action: 'sync+exec', path: 'x', target: '/app' }, 'sync+exec without a command'],
    [{ action: 'sync+exec', path: 'x', target: '/app', exec: {} }, 'sync+exec without a command'],
    [
      { action: 'sync+exec', path: 'x', target: '/app', exec: { command: ' ' } },
      'sync+exec without a command',
    ],
    [
      { action: 'sync+exec', path: 'x', target: '/app', exec: { command: 'a && b' } },
      'the command cannot be split into words: "&" needs a shell',
    ],
    [
      { action: 'sync+exec', path: 'x', target: '/app', exec: { command: "echo 'a" } },
      "the command cannot be split into words: a quote (') is not closed",
    ],
  ])('%j: %s', (entry, message) => {
    expect(one(entry)).toEqual({
      message: `watch rule 1 of api: ${message}`,
      at: { file: 'compose.yaml', line: 1, column: 1 },
      hint: expect.any(String) as string,
    })
  })

  test('the others are kept, and each problem has its own line', () => {
    const { rules, problems } = read([written('sync a /app'), written('sync b'), written('rebuild c')])
    expect(rules.map(({ path }) => path)).toEqual(['/shop/a', '/shop/c'])
    expect(problems.map((problem) => problem.at?.line)).toEqual([2])
  })
})

describe('a rule as it is read', () => {
  test('a whole one', () => {
    const exec = {
      command: 'flask db upgrade "to head"',
      user: 'worker',
      working_dir: '/app',
      environment: { A: '1', FROM_HOST: null },
    }
    const entry = {
      path: './api/',
      target: '/app/',
      ignore: '*.pyc',
      include: ['**/*.py'],
      initial_sync: true,
    }
    expect(one({ ...entry, action: 'sync+exec', exec })).toEqual({
      action: 'sync+exec',
      path: '/shop/api',
      target: '/app',
      ignore: ['*.pyc'],
      include: ['**/*.py'],
      initialSync: true,
      exec: { argv: ['flask', 'db', 'upgrade', 'to head'], user: 'worker', workdir: '/app', env: { A: '1' } },
      at: { file: 'compose.yaml', line: 1, column: 0 },
    })
  })

  test.each([
    ['a list of words stays as it is', ['sh', '-c', 'a && b'], ['sh', '-c', 'a && b']],
    ['quotes hold words together', `a 'b "c' "d 'e" ''`, ['a', 'b "c', "d 'e", '']],
    [
      'a backslash keeps a letter from meaning something',
      String.raw`a\ b \"c\" '\x'`,
      ['a b', '"c"', String.raw`\x`],
    ],
  ])('a command: %s', (_, command, argv) => {
    expect(one({ action: 'sync+exec', path: 'x', target: '/app', exec: { command } })).toMatchObject({
      exec: { argv },
    })
  })

  test('variables may be a list', () => {
    const exec = { command: ['x'], environment: ['A=1', 'B=', 'C', 'D=a=b'] }
    expect(one({ action: 'sync+exec', path: 'x', target: '/app', exec })).toMatchObject({
      exec: { env: { A: '1', B: '', D: 'a=b' } },
    })
  })

  test('the exec without a command that Compose prints for every rule is no news', () => {
    const { rules, warnings } = read([{ ...written('sync a /app'), exec: { command: null } }])
    expect(rules).toMatchObject([{ action: 'sync', exec: null }])
    expect(warnings).toEqual([])
  })

  test('exec beside another action is said to do nothing', () => {
    const { rules, warnings } = read([{ ...written('sync a /app'), exec: { command: 'x' } }])
    expect(rules).toMatchObject([{ action: 'sync', exec: null }])
    expect(warnings.map(({ message }) => message)).toEqual([
      'watch rule 1 of api: exec does nothing with sync',
    ])
  })
})

describe('a target in a bind mount', () => {
  const bind = { source: '/shop/api', target: '/app' }
  test('is a problem where the mount shows another folder', () => {
    expect(one(written('sync web /app/web'), [bind])).toMatchObject({
      message: 'watch rule 1 of api: the target /app/web lies in a bind mount of /shop/api',
      at: { file: 'compose.yaml', line: 1, column: 1 },
    })
  })
  test.each(['sync api /app', 'sync+restart api/src /app/src', 'restart web', 'sync web /app-web'])(
    '%s is none',
    (text) => {
      expect(one(written(text), [bind])).toMatchObject({ action: text.split(' ')[0] })
    },
  )
})

describe('two rules', () => {
  test.each([
    ['sync a /app', 'sync b /app', 'both /shop/a and /shop/b are written to /app'],
    ['sync a /app', 'rebuild a', '/shop/a has both sync and rebuild'],
    ['sync a /app', 'sync a /elsewhere', null],
    ['sync . /app', 'rebuild package.json', null],
  ])('%s beside %s', (first, second, message) => {
    const { problems } = read([written(first), written(second)])
    expect(problems.map((problem) => [problem.message, problem.at?.line])).toEqual(
      message === null ? [] : [[`two watch rules of api fight: ${message} (the other: compose.yaml:1)`, 2]],
    )
  })

  test('patterns may tell them apart', () => {
    const { problems } = read([{ ...written('sync a /app'), include: '*.py' }, written('rebuild a')])
    expect(problems).toEqual([])
  })

  test('the same one twice does no harm, and is told', () => {
    const { problems, warnings } = read([written('sync a /app'), written('sync a /app')])
    expect(problems).toEqual([])
    expect(warnings.map(({ message }) => message)).toEqual([
      'sync of /shop/a is written twice for api (the other: compose.yaml:1)',
    ])
  })
})

test('resolvePath never leaves the root and never keeps a dot', () => {
  const part = fc.constantFrom('..', '.', '', 'a', 'b c', 'ü')
  fc.assert(
    fc.property(fc.array(part), fc.array(part), fc.boolean(), (folder, path, absolute) => {
      const resolved = resolvePath(`/${folder.join('/')}`, `${absolute ? '/' : ''}${path.join('/')}`)
      expect(resolved).toMatch(/^\/([^/]+(\/[^/]+)*)?$/)
      expect(resolved.split('/')).not.toContain('..')
      expect(resolvePath('/x', resolved)).toBe(resolved)
    }),
  )
})
