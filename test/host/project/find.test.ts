import { symlink } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { findProject } from '../../../src/host/project/find.js'
import { Folder } from './folder.js'

const compose = 'services: { a: { image: x } }\n'

async function find(
  folder: Folder,
  cwd: string,
  env: Readonly<Record<string, string>> = {},
  config?: string,
) {
  const found = await findProject({ cwd: folder.at(cwd), config: config ?? null, env })
  const short = (path: string | null) => path?.replace(folder.path, '~') ?? null
  return {
    folder: short(found.folder),
    config: short(found.configFile),
    files: found.composeFiles.map(short),
    environment: found.environment,
    found,
  }
}

test.each([
  [['compose.yaml'], ['compose.yaml']],
  [['docker-compose.yml'], ['docker-compose.yml']],
  [['docker-compose.yaml', 'docker-compose.yml'], ['docker-compose.yml']],
  [['compose.yml', 'compose.yaml', 'docker-compose.yml'], ['compose.yaml']],
  [
    ['compose.yaml', 'compose.override.yaml'],
    ['compose.yaml', 'compose.override.yaml'],
  ],
  [
    ['compose.yaml', 'docker-compose.override.yml'],
    ['compose.yaml', 'docker-compose.override.yml'],
  ],
])('of %j Compose takes %j', async (there, taken) => {
  await using folder = await Folder.with(Object.fromEntries(there.map((name) => [name, compose])))
  expect((await find(folder, '')).files).toEqual(taken.map((name) => `~/${name}`))
})

test('a project is found from any folder below it', async () => {
  await using folder = await Folder.with({ 'compose.yaml': compose, 'a/b/c/file': '' })
  expect(await find(folder, 'a/b/c')).toMatchObject({ folder: '~', config: null, files: ['~/compose.yaml'] })
})

test('the nearest Compose file wins', async () => {
  await using folder = await Folder.with({ 'compose.yaml': compose, 'inner/compose.yaml': compose })
  expect(await find(folder, 'inner')).toMatchObject({ folder: '~/inner', files: ['~/inner/compose.yaml'] })
})

test('devstack.yaml names the Compose files', async () => {
  await using folder = await Folder.with({
    'devstack.yaml': 'name: shop\ncompose: [deploy/base.yaml, deploy/dev.yaml]\n',
    'compose.yaml': compose,
    'deploy/base.yaml': compose,
    'deploy/dev.yaml': compose,
  })
  const found = await find(folder, '')
  expect(found).toMatchObject({
    folder: '~',
    config: '~/devstack.yaml',
    files: ['~/deploy/base.yaml', '~/deploy/dev.yaml'],
  })
  expect(found.found.projectDirectory).toBe(folder.at('deploy'))
  expect(found.found.config?.name).toBe('shop')
  expect(found.found.locateConfig?.(['compose'])).toEqual({
    file: folder.at('devstack.yaml'),
    line: 2,
    column: 1,
  })
})

test('devstack.yaml without compose takes the usual files beside it', async () => {
  await using folder = await Folder.with({ 'devstack.yaml': 'name: shop\n', 'compose.yml': compose })
  expect((await find(folder, '')).files).toEqual(['~/compose.yml'])
})

test('in the folder of a Compose file that devstack.yaml above names, the project is the one above', async () => {
  await using folder = await Folder.with({
    'devstack.yaml': 'compose: [deploy/compose.yaml]\n',
    'deploy/compose.yaml': compose,
    'other/compose.yaml': compose,
  })
  expect(await find(folder, 'deploy')).toMatchObject({ folder: '~', config: '~/devstack.yaml' })
  expect(await find(folder, 'other')).toMatchObject({ folder: '~/other', config: null })
})

test('--config names the file', async () => {
  await using folder = await Folder.with({
    'compose.yaml': compose,
    'dev/x.yaml': 'compose: ../compose.yaml\n',
  })
  expect(await find(folder, '', {}, 'dev/x.yaml')).toMatchObject({
    folder: '~/dev',
    files: ['~/compose.yaml'],
  })
  await expect(find(folder, '', {}, 'no.yaml')).rejects.toMatchObject({ code: 'PROJECT_NOT_FOUND' })
})

test('COMPOSE_FILE and its separator are respected', async () => {
  await using folder = await Folder.with({ 'a.yaml': compose, 'd/b.yaml': compose, 'compose.yaml': compose })
  expect((await find(folder, '', { COMPOSE_FILE: 'a.yaml:d/b.yaml' })).files).toEqual([
    '~/a.yaml',
    '~/d/b.yaml',
  ])
  const env = { COMPOSE_FILE: 'd/b.yaml;a.yaml', COMPOSE_PATH_SEPARATOR: ';' }
  expect(await find(folder, '', env)).toMatchObject({ folder: '~/d', files: ['~/d/b.yaml', '~/a.yaml'] })
  await expect(find(folder, '', { COMPOSE_FILE: 'no.yaml' })).rejects.toMatchObject({
    code: 'PROJECT_NOT_FOUND',
    message: `${folder.at('no.yaml')} does not exist`,
  })
})

test('COMPOSE_FILE in a .env is respected, also from below', async () => {
  await using folder = await Folder.with({
    '.env': 'COMPOSE_FILE=docker/dev.yaml\n',
    'docker/dev.yaml': compose,
    'src/x': '',
  })
  expect((await find(folder, 'src')).files).toEqual(['~/docker/dev.yaml'])
})

test('the .env beside the first Compose file fills the environment, and the process wins over it', async () => {
  await using folder = await Folder.with({
    'devstack.yaml': 'compose: deploy/compose.yaml\n',
    'deploy/compose.yaml': compose,
    'deploy/.env': 'A=1\nexport B="two ${A}"\nC=\'$A\' # said so\nD=${HOME}/x\n',
    '.env': 'A=not this one\n',
  })
  const { environment, found } = await find(folder, '', { HOME: '/home/me', A: 'mine' })
  expect(environment).toEqual({ A: 'mine', B: 'two mine', C: '$A', D: '/home/me/x', HOME: '/home/me' })
  expect(found.envFiles).toEqual([folder.at('deploy/.env')])
})

test('where nothing is, it says so and what to do', async () => {
  await using folder = await Folder.with({ 'x/y': '' })
  await expect(find(folder, 'x')).rejects.toMatchObject({
    code: 'PROJECT_NOT_FOUND',
    hint: expect.stringContaining('devstack init') as string,
  })
})

test('a Compose file of devstack.yaml that is not there is a problem at its place', async () => {
  await using folder = await Folder.with({
    'devstack.yaml': 'compose:\n  - here.yaml\n  - gone.yaml\n',
    'here.yaml': compose,
  })
  await expect(find(folder, '')).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    problems: [
      {
        message: `${folder.at('gone.yaml')} does not exist`,
        at: { file: folder.at('devstack.yaml'), line: 3, column: 5 },
      },
    ],
  })
})

test('a pipe or a huge file is refused or left alone, never waited for', async () => {
  await using folder = await Folder.with({
    'a/compose.yaml': compose,
    'b/x': '',
    'c/devstack.yaml': `# ${'x'.repeat(1_100_000)}`,
  })
  await folder.pipe('a/.env')
  await folder.pipe('b/devstack.yaml')
  expect((await find(folder, 'a')).files).toEqual(['~/a/compose.yaml'])
  await expect(find(folder, 'b')).rejects.toMatchObject({ code: 'CONFIG_INVALID', why: 'it is not a file' })
  await expect(find(folder, 'c')).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
})

test('a link to a folder leads to the same project', async () => {
  await using folder = await Folder.with({ 'real/compose.yaml': compose })
  await symlink(folder.at('real'), folder.at('link'))
  expect((await find(folder, 'link')).folder).toBe('~/real')
})
