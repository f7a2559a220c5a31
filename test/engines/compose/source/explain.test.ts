import { writeFile } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { describe, expect, test } from 'vitest'
import { explainComposeErrors, readComposeSources } from '../../../../src/engines/compose/source/explain.js'
import { Folder } from '../../../host/project/folder.js'
import { corpus, valid } from './corpus.js'
import { requestFor, tell } from './project.js'

describe('a broken project: every problem at its place', () => {
  test.each(corpus)('$name', async ({ files, env, told, refused }) => {
    await using folder = await Folder.with(files)
    const { problems } = await explainComposeErrors(requestFor(folder, files, env))
    const lines = problems.map((problem) => tell(problem, folder))
    const wanted = told.map((line) => (/^\d+:/.test(line) ? `compose.yaml:${line}` : line))
    expect(lines).toEqual(wanted.map((line) => expect.stringContaining(line) as string))
    expect(problems.some(({ stage }) => stage === 'config')).toBe(refused !== false)
  })
})

describe('a valid project: nothing to tell', () => {
  test.each(valid)('$name', async ({ files, env }) => {
    await using folder = await Folder.with(files)
    const { problems } = await explainComposeErrors(requestFor(folder, files, env))
    expect(
      problems.filter(({ stage }) => stage === 'config').map((problem) => tell(problem, folder)),
    ).toEqual([])
  })
})

test('a mistyped word comes with what is meant', async () => {
  const files = {
    'compose.yaml': 'services:\n  a: { image: x, halthcheck: {}, depends_on: [bb] }\n  bbb: { image: x }\n',
  }
  await using folder = await Folder.with(files)
  const { problems } = await explainComposeErrors(requestFor(folder, files))
  expect(problems.map(({ hint }) => hint)).toEqual(['did you mean "healthcheck"?', 'did you mean "bbb"?'])
})

test('a variable without a value is a warning at its first place, and no problem', async () => {
  const files = {
    'compose.yaml': 'services:\n  a:\n    image: x\n    command: echo $ONE ${TWO}\n    hostname: $ONE\n',
  }
  await using folder = await Folder.with(files)
  const { problems, warnings } = await explainComposeErrors(requestFor(folder, files, { TWO: '2' }))
  expect(problems).toEqual([])
  expect(warnings.map((warning) => tell(warning, folder))).toEqual([
    'compose.yaml:4:19 the variable ONE is not set: an empty text is used',
  ])
})

test('a key is located in the last file that has it, through include and extends', async () => {
  const files = {
    'compose.yaml': 'include: [db.yaml]\nservices:\n  a:\n    image: x\n    ports: ["80:80"]\n',
    'compose.override.yaml': 'services:\n  a:\n    image: y\n',
    'db.yaml': 'services:\n  db:\n    image: z\n',
  }
  await using folder = await Folder.with(files)
  const { locate } = await readComposeSources(requestFor(folder, files))
  const at = (...path: readonly (string | number)[]) => {
    const found = locate(path)
    return `${String(found?.file.replace(`${folder.path}/`, ''))}:${String(found?.line)}:${String(found?.column)}`
  }
  expect(at('services', 'a', 'image')).toBe('compose.override.yaml:3:5')
  expect(at('services', 'a', 'ports', 0)).toBe('compose.yaml:5:13')
  expect(at('services', 'db')).toBe('db.yaml:2:3')
})

test("x-devstack of services is read from the files: Compose's JSON leaves it out", async () => {
  const files = {
    'compose.yaml':
      'services:\n  a:\n    image: x\n    x-devstack: { watch: [{ action: sync, path: a, target: /a }] }\n',
  }
  await using folder = await Folder.with(files)
  const { extensions } = await readComposeSources(requestFor(folder, files))
  expect(extensions).toEqual({ a: { watch: [{ action: 'sync', path: 'a', target: '/a' }] } })
})

test.each([
  ['validating f: services.a.frob Additional property x is not allowed', '2:3'],
  ['services.a.image: something new', '3:5'],
  ["error decoding 'services[a].image': no", '3:5'],
  ['service "b" is odd: invalid compose project', '4:3'],
  ['yaml: line 4: did not find', '4:1'],
  ['something else altogether', '1:1'],
])(
  'what only Compose knows is told in its words, located as far as they say: %s',
  async (composeMessage, place) => {
    const files = { 'compose.yaml': 'services:\n  a:\n    image: x\n  b:\n    image: x\n' }
    await using folder = await Folder.with(files)
    const { problems } = await explainComposeErrors({ ...requestFor(folder, files), composeMessage })
    expect(problems.map((problem) => tell(problem, folder))).toEqual([
      `compose.yaml:${place} ${composeMessage}`,
    ])
  },
)

test("Compose's words are not repeated where the mistake was found", async () => {
  const files = { 'compose.yaml': 'services:\n  a: { image: x, foo: 1 }\n' }
  await using folder = await Folder.with(files)
  const composeMessage = 'validating: services.a Additional property foo is not allowed'
  const { problems } = await explainComposeErrors({ ...requestFor(folder, files), composeMessage })
  expect(problems).toHaveLength(1)
})

test.each([
  [
    'a thousand services with a thousand mistakes',
    Array.from({ length: 1500 }, (_, n) => `  s${String(n)}: { imag: x }`).join('\n'),
  ],
  [
    'a chain of five thousand dependencies',
    Array.from(
      { length: 5000 },
      (_, n) => `  s${String(n)}: { image: x, depends_on: [s${String(n + 1)}] }`,
    ).join('\n'),
  ],
  [
    'all depend on all',
    Array.from(
      { length: 120 },
      (_, n) =>
        `  s${String(n)}: { image: x, depends_on: [${Array.from({ length: 120 }, (_, m) => `s${String(m)}`).join(',')}] }`,
    ).join('\n'),
  ],
  [
    'an aliased service a thousand times',
    `  s: &s { image: x, environment: { ${Array.from({ length: 90 }, (_, n) => `K${String(n)}: 1`).join(', ')} }, foo: 1 }\n${Array.from({ length: 1000 }, (_, n) => `  s${String(n)}: *s`).join('\n')}`,
  ],
  [
    'ports without end',
    `  s: { image: x, ports: [${Array.from({ length: 3000 }, (_, n) => `"${String(10_000 + n)}-${String(10_900 + n)}:${String(2 * n + 1)}-${String(2 * n + 901)}"`).join(', ')}] }`,
  ],
  [
    'dollars without end',
    `  s: { image: x, command: "${'${'.repeat(250_000)}", hostname: "${'$A '.repeat(100_000)}" }`,
  ],
  [
    'defaults within defaults',
    `  s: { image: x, foo: 1, command: "${'${A:-'.repeat(50_000)}${'}'.repeat(50_000)}" }`,
  ],
])('%s: told soon', async (_, services) => {
  const files = { 'compose.yaml': `services:\n${services}\n` }
  await using folder = await Folder.with(files)
  const start = performance.now()
  const { problems } = await explainComposeErrors(requestFor(folder, files))
  expect(problems.length).toBeGreaterThan(0)
  expect(performance.now() - start).toBeLessThan(5000)
})

test('a file that is not UTF-8 is told at its first wrong byte', async () => {
  await using folder = await Folder.with()
  await writeFile(folder.at('compose.yaml'), Buffer.from('services:\n  a: { image: "\xff" }\n', 'latin1'))
  const { problems } = await explainComposeErrors(requestFor(folder, { 'compose.yaml': '' }))
  expect(problems.map((problem) => tell(problem, folder))).toEqual([
    'compose.yaml:2:16 ~/compose.yaml is not UTF-8',
  ])
})

test('a pipe is not waited for, and profiles may be set in .env', async () => {
  const files = {
    'compose.yaml': 'include: [pipe.yaml]\nservices:\n  a: { profiles: [p] }\n  b: { image: x }\n',
    '.env': 'COMPOSE_PROFILES=p\n',
  }
  await using folder = await Folder.with(files)
  await folder.pipe('pipe.yaml')
  await folder.pipe('pipe.env')
  const request = requestFor(folder, files)
  const envFiles = [...request.envFiles, folder.at('pipe.env')]
  const lines = async () =>
    (await explainComposeErrors({ ...request, envFiles })).problems.map((one) => tell(one, folder))
  expect(await lines()).toEqual(['compose.yaml:1:11 ~/pipe.yaml is not a file'])
  await folder.write({ 'compose.yaml': files['compose.yaml'].replace('include: [pipe.yaml]', '') })
  expect(await lines()).toEqual(['compose.yaml:3:3 a has neither an image nor a build'])
})

test('keys that JavaScript has a meaning for are keys like any other', async () => {
  const keys = ['valueOf', 'toString', 'constructor', '__proto__', 'hasOwnProperty', 'length']
  const odd = keys.map((key) => `${key}: { ${key}: 1 }`).join(', ')
  const files = {
    'compose.yaml': `services: { a: { image: x, ports: [{ ${odd} }, { ${odd} }], ${odd} }, ${keys.map((key) => `${key}: { image: "\${${key}}" }`).join(', ')} }\n`,
  }
  await using folder = await Folder.with(files)
  const { problems, warnings } = await explainComposeErrors(requestFor(folder, files))
  expect(problems).toHaveLength(3 * keys.length)
  expect(warnings).toHaveLength(keys.length)
})

test('includes without end, and a thousand files, are cut short', async () => {
  const files: Record<string, string> = { 'compose.yaml': 'include: [f0.yaml]\n' }
  for (let n = 0; n < 12; n++)
    files[`f${String(n)}.yaml`] =
      `include: [${Array.from({ length: 3 }, () => `f${String(n + 1)}.yaml`).join(', ')}]\n`
  files['f12.yaml'] = 'services: { a: { image: x } }\n'
  await using folder = await Folder.with(files)
  const { problems } = await explainComposeErrors(requestFor(folder, files))
  expect(problems.map(({ message }) => message)).toContain('more than 100 files are not read')
})

test('a health check that begins with a map is told like any other wrong one', async () => {
  const files = { 'compose.yaml': 'services:\n  a: { image: x, healthcheck: { test: [{ CMD: curl }] } }\n' }
  await using folder = await Folder.with(files)
  const { problems } = await explainComposeErrors(requestFor(folder, files))
  expect(problems.map(({ message }) => message).join()).toContain('healthcheck.test')
})
