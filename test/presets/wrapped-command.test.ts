import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { wrappedCommand } from '../../src/cli/presets.js'
import { FLASK_FOLDER } from '../../src/presets/command.js'

let context = ''
beforeEach(async () => {
  context = await mkdtemp(join(tmpdir(), 'devstack-wrapped-'))
})
afterEach(() => rm(context, { recursive: true, force: true }))

const wrapped = (...words: readonly string[]) => ['python3', '-B', `${FLASK_FOLDER}/run.py`, '--', ...words]
const none = { entrypoint: null, command: null }

async function wrap(dockerfile: string, own: Parameters<typeof wrappedCommand>[2]) {
  await writeFile(join(context, 'Dockerfile'), dockerfile)
  return wrappedCommand('flask', { context, dockerfile: 'Dockerfile', target: null }, own)
}

describe('the entrypoint of an image from outside, which no file names, is left to start the rest', () => {
  test('where the Dockerfile says what runs', async () => {
    expect(await wrap('FROM x\nCMD ["uwsgi", "a.ini"]\n', none)).toEqual({
      command: wrapped('uwsgi', 'a.ini'),
    })
  })

  test('where the Compose file does', async () => {
    const own = { entrypoint: null, command: ['flask', 'run'] }
    expect(await wrap('FROM x\n', own)).toEqual({ command: wrapped('flask', 'run') })
    expect(await wrappedCommand('flask', null, own)).toEqual({ command: wrapped('flask', 'run') })
  })
})

describe('one that is known is put behind the reloader', () => {
  test.each([
    ['FROM x\nENTRYPOINT ["tini", "--"]\nCMD ["a"]\n', none, ['tini', '--', 'a']],
    ['FROM x\nENTRYPOINT []\nCMD ["a"]\n', none, ['a']],
    ['FROM x\nENTRYPOINT ["t"]\n', { entrypoint: ['u'], command: null }, ['u']],
    ['FROM x\nCMD ["a"]\n', { entrypoint: [], command: ['b'] }, ['b']],
  ])('%j with %j', async (dockerfile, own, words) => {
    expect(await wrap(dockerfile, own)).toEqual({ entrypoint: wrapped(...words), command: [] })
  })
})

test.each([
  ['FROM x\nRUN a\n', none],
  ['FROM x\nCMD ["a"]\n', { entrypoint: [], command: null }],
])('%j with %j: nobody says what runs, so it is left as it is', async (dockerfile, own) => {
  expect(await wrap(dockerfile, own)).toBeNull()
})
