import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDocker } from '../../../../src/engines/compose/docker.js'
import { ensureCluster, findCluster } from '../../../../src/engines/kind/cluster/ensure.js'
import type { EnsureOptions } from '../../../../src/engines/kind/cluster/options.js'
import { removeCluster } from '../../../../src/engines/kind/cluster/remove.js'
import { placesOf } from '../../../../src/engines/kind/cluster/state.js'
import { createKube } from '../../../../src/engines/kind/kube/kube.js'
import { ENDPOINT } from '../../../contract/compose-there.js'
import { nodeImageThere } from '../kind-there.js'

const run = promisify(execFile)
const image = await nodeImageThere()
const NAME = 'ds-clu-test'
const NODE = `${NAME}-control-plane`
const LIMIT = 600_000

const root = mkdtempSync(join(tmpdir(), 'devstack-kind-'))
const home = join(root, 'home')
const docker = createDocker(ENDPOINT)
const { signal } = new AbortController()
const warnings: string[] = []
const told: { readonly text: string; readonly percent: number | null }[] = []

const options = (more: Partial<EnsureOptions> = {}): EnsureOptions => ({
  name: NAME,
  stateRoot: join(root, 'state'),
  docker,
  // What must be neither read nor written: a kubeconfig of the user, named and in its usual place.
  env: { ...process.env, HOME: home, KUBECONFIG: join(root, 'kubeconfig-of-the-user') },
  image: image ?? '',
  configFile: null,
  progress: (progress) => told.push(progress),
  warn: (message) => warnings.push(message),
  portOwner: () => Promise.resolve(null),
  confirmLoss: () => Promise.resolve(false),
  ...more,
})
const remove = (namespace = 'none', force = false) =>
  removeCluster({ ...options(), namespace, force, say: () => undefined }, signal)

const output = async (...argv: string[]): Promise<string> => (await run('docker', argv)).stdout.trim()
const containers = () => output('ps', '-aq', '--no-trunc', '--filter', `label=io.x-k8s.kind.cluster=${NAME}`)
const volumes = async () => (await output('volume', 'ls', '-q')).split('\n').sort()
const networks = async () => (await output('network', 'ls', '--format', '{{.Name}}')).split('\n').sort()

/** Every file below a folder, with its content. */
function contents(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
  const files = names.filter((name) => statSync(join(folder, name)).isFile())
  const hash = createHash('sha256')
  for (const name of files) hash.update(readFileSync(join(folder, name)))
  return `${names.join(' ')} ${hash.digest('hex')}`
}

const DECOY = 'apiVersion: v1\nkind: Config\ncurrent-context: prod\n'

describe.skipIf(image === null)('the cluster on a real engine', () => {
  let before = { volumes: [''], networks: [''], home: '' }
  beforeAll(async () => {
    mkdirSync(join(home, '.kube'), { recursive: true })
    writeFileSync(join(home, '.kube/config'), DECOY)
    writeFileSync(join(root, 'kubeconfig-of-the-user'), DECOY)
    before = { volumes: await volumes(), networks: await networks(), home: contents(home) }
  })
  afterAll(async () => {
    await run('kind', ['delete', 'cluster', '--name', NAME, '--kubeconfig', join(root, 'none')])
    rmSync(root, { recursive: true, force: true })
  }, LIMIT)

  test(
    'two at once make one, with progress, and touch no kubeconfig of the user',
    async () => {
      expect(await findCluster(options(), signal)).toBeNull()
      const [one, two] = await Promise.all([
        ensureCluster(options(), signal),
        ensureCluster(options(), signal),
      ])
      expect([one.nodes, two.nodes]).toEqual([[NODE], [NODE]])
      expect((await containers()).split('\n')).toHaveLength(1)
      expect(statSync(one.kubeconfig).mode & 0o777).toBe(0o600)
      expect(told.map(({ text }) => text)).toContain('another devstack works on the cluster')
      const steps = told.filter(({ percent }) => percent !== null)
      expect(steps.some(({ text }) => text.startsWith('Starting control-plane'))).toBe(true)
      expect(steps.map(({ percent }) => percent)).toEqual(
        steps.map(({ percent }) => percent ?? 0).sort((a, b) => a - b),
      )
      expect(contents(home)).toBe(before.home)
      expect(readFileSync(join(root, 'kubeconfig-of-the-user'), 'utf8')).toBe(DECOY)
    },
    LIMIT,
  )

  test(
    'it is found again without a lock, and its kubeconfig comes back from the node where it was lost',
    async () => {
      const before = await containers()
      const { kubeconfig } = await ensureCluster(options(), signal)
      rmSync(kubeconfig)
      expect((await findCluster(options(), signal))?.nodes).toEqual([NODE])
      expect(statSync(kubeconfig).mode & 0o777).toBe(0o600)
      expect(await containers()).toBe(before)
    },
    LIMIT,
  )

  test(
    'a refusal of unknown fields names every one',
    async () => {
      const { access } = await ensureCluster(options(), signal)
      const kube = createKube({ access, namespace: 'default' })
      const containers = [{ name: 'c', image: 'x', immage: 'y' }]
      const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: { containers, foo: 1 } }
      await expect(kube.apply(object, { dryRun: true }, signal)).rejects.toMatchObject({
        code: 'OPERATION_FAILED',
        fields: ['spec.containers[0].immage', 'spec.foo'],
      })
    },
    LIMIT,
  )

  test(
    'a node that was stopped is started, and what is in the cluster is still there',
    async () => {
      const created = await ensureCluster(options(), signal)
      const labels = { 'app.kubernetes.io/managed-by': 'devstack' }
      const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels } }
      await createKube({ access: created.access, namespace: 'shop' }).apply(
        namespace,
        { dryRun: false },
        signal,
      )
      await output('stop', NODE)
      await expect(findCluster(options(), signal)).rejects.toMatchObject({ code: 'ENGINE_NOT_RUNNING' })
      const { access } = await ensureCluster(options(), signal)
      const found = await createKube({ access, namespace: 'shop' }).get('/api/v1/namespaces/shop', signal)
      expect(found).toMatchObject({ metadata: { name: 'shop' } })
    },
    LIMIT,
  )

  test(
    'it is not removed while another stack lives in it',
    async () => {
      await expect(remove('other')).rejects.toMatchObject({ code: 'OPERATION_FAILED', why: 'shop' })
      expect(await containers()).not.toBe('')
    },
    LIMIT,
  )

  test(
    'its removal leaves no container, volume, network, lock or kubeconfig',
    async () => {
      expect(await remove('shop')).toBe(true)
      expect(await containers()).toBe('')
      expect((await volumes()).filter((name) => !before.volumes.includes(name))).toEqual([])
      expect((await networks()).filter((name) => !before.networks.includes(name))).toEqual([])
      expect(readdirSync(join(root, 'state/kind'))).toEqual(['usual.json'])
      expect(await remove('shop')).toBe(false)
    },
    LIMIT,
  )

  test(
    'an abort leaves nothing half made',
    async () => {
      const controller = new AbortController()
      const reason = new Error('enough')
      const making = ensureCluster(
        options({
          progress: ({ text }) => {
            if (text.startsWith('Starting control-plane')) controller.abort(reason)
          },
        }),
        controller.signal,
      )
      await expect(making).rejects.toBe(reason)
      expect(await containers()).toBe('')
      expect(await findCluster(options(), signal)).toBeNull()
    },
    LIMIT,
  )

  test(
    'a creation that was killed is told, its kind is ended, and the cluster is made anew',
    async () => {
      await killCreation()
      const half = await containers()
      expect(half).not.toBe('')
      warnings.length = 0
      const { nodes } = await ensureCluster(options(), signal)
      expect(nodes).toEqual([NODE])
      expect(warnings).toEqual(['the cluster is made anew: its creation was interrupted'])
      expect(await containers()).not.toBe(half)
    },
    LIMIT,
  )

  test(
    'a cluster of that name that somebody made by hand is left alone, also when ours was removed by hand before',
    async () => {
      await output('rm', '-f', '-v', NODE)
      const kind = ['create', 'cluster', '--name', NAME, '--image', options().image]
      await run('kind', [...kind, '--kubeconfig', join(root, 'theirs')])
      const theirs = await containers()
      await expect(ensureCluster(options(), signal)).rejects.toMatchObject({ code: 'STATE_FOREIGN' })
      await expect(remove('none', true)).rejects.toMatchObject({ code: 'STATE_FOREIGN' })
      expect(await containers()).toBe(theirs)
    },
    LIMIT,
  )
})

/** Node has to find `.ts` where an import says `.js`. */
const FROM_SOURCE = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module'
  registerHooks({
    resolve: (name, context, next) =>
      next(name.startsWith('.') && context.parentURL.endsWith('.ts') ? name.replace(/js$/, 'ts') : name, context),
  })`)}`

/** Makes the cluster in a process of its own, and kills that without a word once the node is there. */
async function killCreation(): Promise<void> {
  const script = `
    import { ensureCluster } from ${JSON.stringify(join(process.cwd(), 'src/engines/kind/cluster/ensure.ts'))}
    import { createDocker } from ${JSON.stringify(join(process.cwd(), 'src/engines/compose/docker.ts'))}
    const options = JSON.parse(process.argv[1])
    await ensureCluster({ ...options, docker: createDocker(options.endpoint), configFile: null,
      progress: ({ text }) => console.log(text), warn() {}, portOwner: async () => null,
      confirmLoss: async () => false }, new AbortController().signal)`
  const { name, stateRoot, env, image } = options()
  const given = JSON.stringify({ name, stateRoot, env, image, endpoint: ENDPOINT })
  const argv = [
    '--experimental-transform-types',
    '--no-warnings',
    '--import',
    FROM_SOURCE,
    '--input-type=module',
    '-e',
    script,
    given,
  ]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const chunk of child.stdout) {
    if (String(chunk).includes('Starting control-plane')) break
  }
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(readFileSync(placesOf(stateRoot, NAME).record, 'utf8')).toContain('"making"')
}
