import { describe, expect, test } from 'vitest'
import { detectPreset, presetRules } from '../../src/presets/presets.js'
import { workdirOf } from '../../src/presets/workdir.js'

const view = (texts: Readonly<Record<string, string>>, image: string | null = null) => ({
  files: Object.keys(texts),
  texts,
  image,
})

describe('a service is recognised by its files', () => {
  test.each([
    ['requirements.txt', 'requests\nFlask==3.1.3\n', 'Flask in requirements.txt'],
    ['requirements.txt', 'flask\n', 'Flask in requirements.txt'],
    ['requirements.txt', 'flask[async] >= 3 ; python_version > "3.9"\n', 'Flask in requirements.txt'],
    ['requirements.txt', 'flask-cors==1\nflaskish\n# flask\n', null],
    ['pyproject.toml', '[project]\ndependencies = [\n  "flask>=3",\n]\n', 'Flask in pyproject.toml'],
    ['pyproject.toml', '[tool.poetry.dependencies]\nflask = "^3"\n', 'Flask in pyproject.toml'],
    ['pyproject.toml', 'dependencies = ["flask-login"]\n', null],
    ['Pipfile', '[packages]\nflask = "*"\n', 'Flask in Pipfile'],
    [
      'package.json',
      '{"dependencies":{"react":"19"},"devDependencies":{"vite":"8"}}',
      'React and Vite in package.json',
    ],
    ['package.json', '{"dependencies":{"react":"19"}}', 'React in package.json'],
    ['package.json', '{"dependencies":{"preact":"10"}}', null],
    ['package.json', '{"dependencies":', null],
    ['package.json', 'null', null],
    ['nginx.conf', 'events {}\nhttp { }\n', 'an nginx configuration in nginx.conf'],
    ['default.conf', 'server { listen 80; }\n', 'an nginx configuration in default.conf'],
    ['default.conf', 'a = 1\n', null],
  ])('%s with %j: %s', (file, text, reason) => {
    expect(detectPreset(view({ [file]: text }))?.reason ?? null).toBe(reason)
  })

  test.each([
    ['nginx:1.29', true],
    ['docker.io/library/nginx', true],
    ['my/nginx@sha256:0', true],
    ['nginx-exporter:1', false],
    ['mynginx:1', false],
  ])('the image %s is an nginx: %s', (image, expected) => {
    expect(detectPreset(view({}, image))?.preset === 'nginx').toBe(expected)
  })

  test('a React project that is served by nginx is a React project', () => {
    const texts = { 'package.json': '{"dependencies":{"react":"19"}}', 'nginx.conf': 'http {}' }
    expect(detectPreset(view(texts, 'nginx:1'))?.preset).toBe('react')
  })
})

test('the rules of a preset: sync the sources, install what changed where that is sure, rebuild for the rest', () => {
  const place = (texts: Readonly<Record<string, string>>) => ({
    view: view(texts),
    folder: '/home/me/src',
    target: '/app',
  })
  const short = (name: 'flask' | 'react' | 'nginx', ...files: readonly string[]) =>
    presetRules(name, place(Object.fromEntries(files.map((file) => [file, ''])))).map(
      ({ action, path, target, exec }) =>
        `${String(action)} ${String(path)}${target === undefined ? '' : ` -> ${target}`}${
          exec === undefined || exec === null
            ? ''
            : ` then ${[exec.command].flat().join(' ')} in ${String(exec.working_dir)}`
        }`,
    )
  expect(short('flask', 'requirements.txt', 'app.py')).toEqual([
    'sync /home/me/src -> /app',
    'sync+exec /home/me/src/requirements.txt -> /app/requirements.txt then pip install --disable-pip-version-check -r requirements.txt in /app',
  ])
  expect(short('flask', 'uv.lock', 'pyproject.toml')).toEqual([
    'sync /home/me/src -> /app',
    'rebuild /home/me/src/pyproject.toml',
    'rebuild /home/me/src/uv.lock',
  ])
  expect(short('react', 'package.json', 'package-lock.json', 'vite.config.ts')).toEqual([
    'sync /home/me/src -> /app',
    'sync+exec /home/me/src/package.json -> /app/package.json then npm ci --no-audit --no-fund in /app',
    'sync+exec /home/me/src/package-lock.json -> /app/package-lock.json then npm ci --no-audit --no-fund in /app',
  ])
  expect(short('react', 'package.json', 'pnpm-lock.yaml')).toEqual([
    'sync /home/me/src -> /app',
    'rebuild /home/me/src/package.json',
    'rebuild /home/me/src/pnpm-lock.yaml',
  ])
  expect(short('nginx')).toEqual(['sync /home/me/src -> /app'])
})

test('what is rebuilt or installed is not synced as well', () => {
  const texts = { 'package.json': '', 'package-lock.json': '', 'yarn.lock': '' }
  const [sync, ...others] = presetRules('react', { view: view(texts), folder: '/s', target: '/t' })
  for (const { path } of others) expect(sync?.ignore).toContain(path?.replace('/s/', ''))
})

describe('where the sources are in the container', () => {
  test.each([
    ['FROM x\nWORKDIR /app\n', null, '/app'],
    ['FROM x\nWORKDIR /app\nWORKDIR src\n', null, '/app/src'],
    ['FROM x AS base\nWORKDIR /a\nFROM base AS dev\nRUN y\n', 'dev', '/a'],
    ['FROM x AS Dev\nWORKDIR /a\nFROM y AS prod\nWORKDIR /b\n', 'dev', '/a'],
    ['FROM x AS dev\nWORKDIR /a\nFROM y\nWORKDIR /b\n', null, '/b'],
    ['FROM --platform=$P x\nworkdir "/quoted"\n', null, '/quoted'],
    ['FROM x\nWORKDIR $HOME\n', null, null],
    ['FROM x\n', 'nope', null],
    ['', null, null],
  ])('%j, target %s: %s', (text, target, workdir) => {
    expect(workdirOf(text, target)).toBe(workdir)
  })
})
