import { chmod, lchown, mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { claimProject, engineState, forgetProject, listProjects } from '../../../src/host/project/claim.js'
import { Folder } from './folder.js'

const isRoot = process.getuid?.() === 0

async function homeWith(...folders: readonly string[]) {
  const home = await Folder.with()
  for (const folder of folders) await mkdir(home.at(folder), { recursive: true })
  const env = { HOME: home.path }
  const claim = (folder: string, wantedName = 'shop') =>
    claimProject({ folder: home.at(folder), wantedName, env })
  return { home, env, claim, [Symbol.asyncDispose]: () => home[Symbol.asyncDispose]() }
}

test('the first folder keeps the name, a second worktree gets its own, each always the same', async () => {
  await using world = await homeWith('one', 'two')
  const one = await world.claim('one')
  const two = await world.claim('two')
  expect(one).toMatchObject({ name: 'shop', primary: true, folder: world.home.at('one') })
  expect(one.key).toMatch(/^shop-[0-9a-f]{8}$/)
  expect(one.stateFolder).toBe(world.home.at('.local/state/devstack', one.key))
  expect(two).toMatchObject({ primary: false, name: expect.stringMatching(/^shop-[0-9a-f]{6}$/) as string })
  expect([await world.claim('two'), await world.claim('one')]).toEqual([two, one])
})

test('a link to the folder is the folder', async () => {
  await using world = await homeWith('one')
  await symlink(world.home.at('one'), world.home.at('link'))
  expect(await world.claim('link')).toEqual(await world.claim('one'))
})

test('a folder that moved finds its own again, first or not', async () => {
  await using world = await homeWith('one', 'two')
  const one = await world.claim('one')
  const two = await world.claim('two')
  await rename(world.home.at('one'), world.home.at('uno'))
  await rename(world.home.at('two'), world.home.at('due'))
  expect(await world.claim('due')).toEqual({ ...two, folder: world.home.at('due') })
  expect(await world.claim('uno')).toEqual({ ...one, folder: world.home.at('uno') })
})

test('two folders that swap places keep what is theirs', async () => {
  await using world = await homeWith('one', 'two')
  const one = await world.claim('one')
  await rename(world.home.at('one'), world.home.at('was-one'))
  await mkdir(world.home.at('one'))
  expect(await world.claim('was-one')).toMatchObject({ name: 'shop', key: one.key })
  expect(await world.claim('one')).toMatchObject({ primary: false })
})

test('the first name is inherited where its folder is gone; a further worktree of a removed one starts anew', async () => {
  await using world = await homeWith('one', 'two', 'three')
  const one = await world.claim('one')
  const two = await world.claim('two')
  await rm(world.home.at('two'), { recursive: true })
  expect((await world.claim('three')).name).not.toBe(two.name)
  await rm(world.home.at('one'), { recursive: true })
  await mkdir(world.home.at('four'))
  expect(await world.claim('four')).toEqual({ ...one, folder: world.home.at('four') })
})

test('a folder that was removed and made again at the same place has its data again', async () => {
  await using world = await homeWith('one', 'two')
  const one = await world.claim('one')
  await rm(world.home.at('one'), { recursive: true })
  await mkdir(world.home.at('filler'))
  await mkdir(world.home.at('one'))
  expect(await world.claim('one')).toEqual(one)
  expect((await world.claim('two')).primary).toBe(false)
})

test('a name that a plain docker compose up of another folder has is left to it', async () => {
  await using world = await homeWith('one', 'two')
  const { env, home } = world
  const ownerOf = () => Promise.resolve('/somewhere/else')
  const one = await claimProject({ folder: home.at('one'), wantedName: 'shop', env, ownerOf })
  expect(one.primary).toBe(false)
  const mine = () => Promise.resolve(home.at('two'))
  expect(
    await claimProject({ folder: home.at('two'), wantedName: 'shop', env, ownerOf: mine }),
  ).toMatchObject({
    name: 'shop',
  })
})

test('twelve folders that claim one name at once get twelve names', async () => {
  const folders = Array.from({ length: 12 }, (_, index) => `clone${String(index)}`)
  await using world = await homeWith(...folders)
  const claims = await Promise.all(folders.map((folder) => world.claim(folder)))
  expect(new Set(claims.map(({ name }) => name)).size).toBe(12)
  expect(claims.filter(({ primary }) => primary)).toHaveLength(1)
  expect(await listProjects(world.env)).toHaveLength(12)
})

test('names, keys and folders stay distinct and stable, whatever is claimed, moved and removed', async () => {
  const place = fc.constantFrom('a', 'b', 'c', 'd')
  const step = fc.oneof(
    fc.record({ do: fc.constant('claim' as const), at: place, name: fc.constantFrom('x', 'y') }),
    fc.record({ do: fc.constant('move' as const), at: place, to: place }),
    fc.record({ do: fc.constant('remove' as const), at: place }),
  )
  const property = fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
    await using world = await homeWith('a', 'b', 'c', 'd')
    for (const one of steps) {
      const there = await stat(world.home.at(one.at)).catch(() => null)
      if (there === null) await mkdir(world.home.at(one.at))
      if (one.do === 'claim') {
        const claim = await world.claim(one.at, one.name)
        expect(await world.claim(one.at, one.name)).toEqual(claim)
      } else if (one.do === 'remove') await rm(world.home.at(one.at), { recursive: true })
      else if (one.at !== one.to) {
        await rm(world.home.at(one.to), { recursive: true, force: true })
        await rename(world.home.at(one.at), world.home.at(one.to))
      }
      const projects = await listProjects(world.env)
      expect(new Set(projects.map(({ name }) => name)).size).toBe(projects.length)
      expect(new Set(projects.map(({ key }) => key)).size).toBe(projects.length)
    }
  })
  await fc.assert(property, { numRuns: 30 })
})

test('ls shows every project and which folder is gone; forgetting one frees its name', async () => {
  await using world = await homeWith('one', 'two')
  const one = await world.claim('one')
  await world.claim('two', 'blog')
  await rm(world.home.at('one'), { recursive: true })
  const rows = (await listProjects(world.env)).map(({ name, orphaned }) => ({ name, orphaned }))
  expect(rows).toEqual([
    { name: 'shop', orphaned: true },
    { name: 'blog', orphaned: false },
  ])
  expect(await forgetProject(world.env, one.key)).toBe(true)
  expect(await forgetProject(world.env, one.key)).toBe(false)
  expect(await listProjects(world.env)).toHaveLength(1)
})

test('state is closed to others, also where the folder was open before', async () => {
  await using world = await homeWith('one')
  const root = world.home.at('.local/state/devstack')
  await mkdir(root, { recursive: true, mode: 0o755 })
  await chmod(root, 0o755)
  const folder = await engineState(await world.claim('one'), 'compose')
  const modes = await Promise.all(
    [root, folder, `${root}/projects.json`].map(async (path) => (await stat(path)).mode & 0o777),
  )
  expect(modes).toEqual([0o700, 0o700, 0o600])
  expect(folder).toMatch(/\/shop-[0-9a-f]{8}\/compose$/)
})

test('XDG_STATE_HOME is respected, and ignored where it is relative', async () => {
  await using world = await homeWith('one', 'xdg')
  const at = async (XDG_STATE_HOME: string) =>
    (
      await claimProject({
        folder: world.home.at('one'),
        wantedName: 'shop',
        env: { ...world.env, XDG_STATE_HOME },
      })
    ).stateFolder
  expect(await at(world.home.at('xdg'))).toContain(world.home.at('xdg/devstack/shop-'))
  expect(await at('state')).toContain('/.local/state/devstack/shop-')
})

test.runIf(isRoot)("somebody else's state is refused", async () => {
  await using world = await homeWith('one', 'two')
  await world.claim('one')
  await lchown(world.home.at('.local/state/devstack/projects.json'), 12_345, 12_345)
  await expect(world.claim('one')).rejects.toMatchObject({ code: 'STATE_FOREIGN' })
  await rm(world.home.at('.local/state/devstack/projects.json'))
  await lchown(world.home.at('.local/state/devstack'), 12_345, 12_345)
  await expect(world.claim('two')).rejects.toMatchObject({ code: 'STATE_FOREIGN' })
})

test('a link in place of the registry is refused, and so is a damaged registry', async () => {
  await using world = await homeWith('one')
  await world.claim('one')
  const file = world.home.at('.local/state/devstack/projects.json')
  await writeFile(file, '{"schema":"devstack.projects/1","projects":[{}]}')
  await expect(world.claim('one')).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await rm(file)
  await symlink('/etc/hostname', file)
  await expect(world.claim('one')).rejects.toMatchObject({ code: 'STATE_FOREIGN' })
})
