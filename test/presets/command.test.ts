import { describe, expect, test } from 'vitest'
import { commandOf, wrapCommand } from '../../src/presets/command.js'

describe('what an image starts, by its Dockerfile', () => {
  test.each([
    ['FROM x\nCMD ["uwsgi", "--ini", "a.ini"]\n', null, null, ['uwsgi', '--ini', 'a.ini']],
    ['FROM x\ncmd flask run -p $PORT\n', null, null, ['/bin/sh', '-c', 'flask run -p $PORT']],
    ['FROM x\nCMD ["a"]\nCMD ["b"]\n', null, null, ['b']],
    ['FROM x\nENTRYPOINT ["tini", "--"]\nCMD ["a"]\n', null, ['tini', '--'], ['a']],
    ['FROM x\nCMD ["a"]\nENTRYPOINT ["tini", "--"]\n', null, ['tini', '--'], ['a']],
    ['FROM x\nENTRYPOINT ["tini"]\n', null, ['tini'], []],
    ['FROM x\nENTRYPOINT exec a\nCMD []\n', null, ['/bin/sh', '-c', 'exec a'], []],
    ['FROM x AS base\nCMD ["a"]\nFROM base\nRUN b\n', null, null, ['a']],
    ['FROM x AS base\nCMD ["a"]\nFROM base\nENTRYPOINT ["t"]\n', null, ['t'], []],
    ['FROM x AS base\nENTRYPOINT ["t"]\nFROM base\nCMD ["a"]\n', null, ['t'], ['a']],
    ['FROM x AS Dev\nCMD ["a"]\nFROM y\nCMD ["b"]\n', 'dev', null, ['a']],
    ['FROM x\nCMD ["a"]\nFROM y\nCMD ["b"]\n', '0', null, ['a']],
    ['FROM x\nCMD ["a", \\\n  # why\n\n  "b"]\n', null, null, ['a', 'b']],
    ['# escape=`\nFROM x\nCMD ["a", `\n "b"]\n', null, null, ['a', 'b']],
    ['FROM x\nSHELL ["bash", "-c"]\nCMD a\n', null, null, ['bash', '-c', 'a']],
    ["FROM x\nCMD ['a']\n", null, null, ['/bin/sh', '-c', "['a']"]],
    ['FROM x\nCMD ["a"]\nRUN <<EOF\nCMD ["no"]\nEOF\n', null, null, ['a']],
    ['FROM x\r\nCMD ["a"]\r\n', null, null, ['a']],
    ['FROM --platform=$P x AS a\nCMD ["a"]\nFROM a AS a\nRUN b\n', null, null, ['a']],
  ])('%j, target %s', (text, target, entrypoint, command) => {
    expect(commandOf(text, target)).toEqual({ entrypoint, command })
  })

  test.each([
    ['FROM x\nRUN a\n', null],
    ['FROM x\nCMD ["a"]\n', 'nope'],
    ['FROM base AS base\nRUN a\n', null],
    ['', null],
  ])('%j, target %s: it does not say', (text, target) => {
    expect(commandOf(text, target)).toBeNull()
  })
})

describe('what a container runs so that it can be reloaded', () => {
  test('Flask: the reloader, and after it what was meant to run', () => {
    expect(wrapCommand('flask', ['uwsgi', '--ini', '/app/uwsgi.ini'])).toEqual([
      'python3',
      '-B',
      '/.devstack/flask/run.py',
      '--',
      'uwsgi',
      '--ini',
      '/app/uwsgi.ini',
    ])
    expect(wrapCommand('flask', ['a'], '/venv/bin/python')?.[0]).toBe('/venv/bin/python')
  })

  test.each([['react'], ['nginx'], ['']])('%s: as it is', (preset) => {
    expect(wrapCommand(preset, ['a'])).toBeNull()
  })

  test('nothing to run: as it is', () => {
    expect(wrapCommand('flask', [])).toBeNull()
  })
})
