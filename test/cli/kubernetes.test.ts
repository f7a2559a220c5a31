import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { namespaceFor, refuseOtherPlace, teamCluster } from '../../src/cli/kubernetes.js'
import { readConfig } from '../../src/core/config.js'
import type { DevstackConfig } from '../../src/core/config.js'
import { readYaml } from '../../src/core/yaml.js'
import { fakeProject } from './fake-session.js'
import type { FakeProject } from './fake-session.js'

describe('the namespace of a developer', () => {
  test.each([
    ['shop-{user}', 'ada', '', 'shop-ada'],
    ['shop-{user}', 'Ada.Lovelace', '', 'shop-ada-lovelace'],
    ['shop-{user}', 'CORP\\ada_l', '', 'shop-corp-ada-l'],
    ['{user}-shop', 'ada', '', 'ada-shop'],
    ['shop', 'ada', '', 'shop'],
    // A second worktree.
    ['shop-{user}', 'ada', '-9f86d0', 'shop-ada-9f86d0'],
    ['shop-{user}', 'a'.repeat(80), '-9f86d0', `shop-${'a'.repeat(51)}-9f86d0`],
    [`${'x'.repeat(62)}-{user}`, 'ada', '', 'x'.repeat(62)],
  ])('%s of %s, worktree "%s": %s', (pattern, user, suffix, name) => {
    expect(namespaceFor(pattern, user, suffix)).toBe(name)
    expect(name.length).toBeLessThanOrEqual(63)
  })

  test('a login name of which DNS takes nothing is refused', () => {
    expect(() => namespaceFor('shop-{user}', '__', '')).toThrow('cannot be part of a namespace')
    expect(namespaceFor('shop', '__', '')).toBe('shop')
  })
})

const CONFIG = `engine: kubernetes
kubernetes:
  context: team-dev
  server: https://127.0.0.1:1
  namespace: shop-{user}
  registry: registry.team.example/shop
  manifests: k8s
`

describe('engine kubernetes', () => {
  let project: FakeProject
  beforeEach(async () => {
    project = await fakeProject()
  })
  afterEach(async () => await project[Symbol.asyncDispose]())
  const write = (file: string, text: string) => writeFile(join(project.folder, file), text)

  test('is what devstack.yaml names', async () => {
    await write('devstack.yaml', CONFIG)
    const stack = await project.stack()
    expect(stack.engine).toBe('kubernetes')
    expect(stack.manifests).toEqual([join(project.folder, 'k8s')])
    expect(stack.kubernetes).toMatchObject({
      context: 'team-dev',
      server: 'https://127.0.0.1:1',
      namespace: expect.stringMatching(/^shop-./) as unknown,
    })
  })

  test('takes the manifests of kind where it has none of its own', async () => {
    await write('devstack.yaml', `${CONFIG.replace('  manifests: k8s\n', '')}kind: { manifests: local }\n`)
    expect((await project.stack()).manifests).toEqual([join(project.folder, 'local')])
  })

  test('is refused where devstack.yaml does not name the cluster', async () => {
    await write('devstack.yaml', 'kind: { manifests: k8s }\n')
    const { code, err } = await project.run('status', '--engine', 'kubernetes')
    expect(code).toBe(2)
    expect(err).toContain('nothing says which cluster the stack may run in')
    expect(err).toContain('has no key kubernetes')
  })

  test.each([
    [['down', '--cluster', '--yes'], CONFIG],
    [['down', '--cluster', '--yes', '--engine', 'kubernetes'], CONFIG.replace('engine: kubernetes\n', '')],
  ])('%j is refused: the cluster is not ours', async (argv, config) => {
    await write('devstack.yaml', config)
    const { code, err } = await project.run(...argv)
    expect(code).toBe(2)
    expect(err).toContain('the cluster of engine kubernetes is not removed: it is not ours')
  })

  test('asks before it deletes data', async () => {
    await write('devstack.yaml', CONFIG)
    const { code, err } = await project.run('down', '--volumes')
    expect(code).toBe(3)
    expect(err).toContain('deleting data asks first')
  })

  test('has no cluster where no kubeconfig has its context, and says where that is written', async () => {
    await write('devstack.yaml', CONFIG)
    await write('config', JSON.stringify({ contexts: [], clusters: [], users: [] }))
    const env = { ...project.env, KUBECONFIG: join(project.folder, 'config') }
    const { open } = await teamCluster(await project.stack(), env)
    await expect(open(AbortSignal.timeout(5000))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'there is no context team-dev',
      at: { file: join(project.folder, 'devstack.yaml'), line: 3, column: 3 },
    })
  })

  test.each([
    ['server', 'https://127.0.0.1:1', 'https://127.0.0.1:2'],
    ['namespace', 'shop-{user}', 'shop'],
  ])('stays where it is when another %s is saved meanwhile', async (key, before, after) => {
    await write('devstack.yaml', CONFIG)
    const stack = await project.stack()
    const { kubernetes } = readConfig(readYaml(CONFIG, 'devstack.yaml')).config ?? {}
    const saved = { kubernetes: { ...kubernetes, [key]: after } } as DevstackConfig
    expect(() => refuseOtherPlace(stack, { kubernetes }, null)).not.toThrow()
    expect(() => refuseOtherPlace(stack, saved, null)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: `devstack.yaml names another ${key} than the stack that is up has`,
        why: `${after}, and it is up with ${before}`,
      }),
    )
  })

  test('has one owner for a worktree, whoever asks', async () => {
    await write('devstack.yaml', CONFIG)
    const stack = await project.stack()
    const { owner } = await teamCluster(stack, { ...project.env, USER: 'ada', LOGNAME: 'ada' })
    expect(owner).toMatch(/^ada [0-9a-f]{32}$/)
    expect((await teamCluster(stack, project.env)).owner).toBe(owner)
  })
})
