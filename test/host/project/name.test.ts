import { expect, test } from 'vitest'
import { findProject } from '../../../src/host/project/find.js'
import { wantedName } from '../../../src/host/project/name.js'
import { Folder } from './folder.js'

const service = 'services: { a: { image: x } }\n'

async function nameOf(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
  flag: string | null = null,
  cwd = 'My Shop_1',
) {
  await using folder = await Folder.with(
    Object.fromEntries(Object.entries(files).map(([name, text]) => [`${cwd}/${name}`, text])),
  )
  const found = await findProject({ cwd: folder.at(cwd), config: null, env })
  return (await wantedName(found, flag)).name
}

test.each([
  ['the folder, as Compose normalises it', { 'compose.yaml': service }, 'myshop_1'],
  ['name of the Compose file', { 'compose.yaml': `name: corner\n${service}` }, 'corner'],
  ['with its variables', { 'compose.yaml': `name: "corner-\${STAGE:-dev}"\n${service}` }, 'corner-dev'],
  [
    'the last one of several files',
    { 'compose.yaml': `name: one\n${service}`, 'compose.override.yml': 'name: two\n' },
    'two',
  ],
  ['a flow map has names too', { 'compose.yaml': '{"name": "json", "services": {}}' }, 'json'],
  [
    'devstack.yaml over the Compose file',
    { 'devstack.yaml': 'name: shop', 'compose.yaml': `name: x\n${service}` },
    'shop',
  ],
  [
    'COMPOSE_PROJECT_NAME of .env',
    { '.env': 'COMPOSE_PROJECT_NAME=fromenv', 'compose.yaml': `name: x\n${service}` },
    'fromenv',
  ],
  [
    "a service's name is not the project's",
    { 'compose.yaml': 'services:\n  name:\n    image: x\n' },
    'myshop_1',
  ],
])('%s', async (_, files, name) => {
  expect(await nameOf(files)).toBe(name)
})

test('--project-name wins over COMPOSE_PROJECT_NAME, which wins over all else', async () => {
  const files = { 'devstack.yaml': 'name: shop', 'compose.yaml': service }
  expect(await nameOf(files, { COMPOSE_PROJECT_NAME: 'env' })).toBe('env')
  expect(await nameOf(files, { COMPOSE_PROJECT_NAME: 'env' }, 'flag')).toBe('flag')
})

test('a name that Compose refuses is refused, with one that it accepts', async () => {
  await expect(nameOf({ 'compose.yaml': service }, {}, 'My Shop')).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    hint: 'use "myshop"',
  })
})

test('a folder whose name has no usable letter still has a project', async () => {
  expect(await nameOf({ 'compose.yaml': service }, {}, null, '店')).toBe('default')
})
