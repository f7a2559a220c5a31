import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { createDocker } from '../../src/engines/compose/docker.js'
import { ensureCluster, findCluster } from '../../src/engines/kind/cluster/ensure.js'
import type { ClusterOptions } from '../../src/engines/kind/cluster/options.js'
import { createKindEngine } from '../../src/engines/kind/engine.js'
import type { KindEngineOptions } from '../../src/engines/kind/engine.js'
import { ensureNodeImage } from '../../src/engines/kind/node-image/node-image.js'
import type { Engine } from '../../src/orchestrator/ports.js'
import { stateRoot } from '../../src/host/project/state.js'
import { ENDPOINT } from './compose-there.js'

const run = promisify(execFile)
const env = { ...process.env, DOCKER_HOST: ENDPOINT }
const root = join(import.meta.dirname, '../..')

/** Manifests and a compose file in a folder of its own, and their engine, in the cluster that the tests share. */
export interface KindProject {
  readonly namespace: string
  readonly engine: Engine
  /** Another engine object over the same project. */
  readonly open: () => Engine
  readonly kubectl: (...args: readonly string[]) => Promise<string>
  /** Runs a program in the service's container. */
  readonly inside: (
    service: string,
    argv: readonly string[],
  ) => Promise<{ readonly code: number; readonly out: string }>
  /** Names of all that is there in the cluster for the project. */
  readonly things: () => Promise<readonly string[]>
  /** Command lines of this machine that begin so. */
  readonly processes: (start: string) => Promise<readonly string[]>
  readonly dispose: () => Promise<void>
}

/**
 * One for all tests of a run, and for the next run: making it takes most of their time. Users who share an engine name theirs,
 * as they do for devstack.
 */
const TEST_CLUSTER = process.env['DEVSTACK_CLUSTER'] ?? 'devstack-test'

export function testCluster(): ClusterOptions {
  return { name: TEST_CLUSTER, stateRoot: stateRoot(env), docker: createDocker(ENDPOINT), env }
}

export async function ensureTestCluster(): Promise<void> {
  const options = {
    ...testCluster(),
    image: await nodeImage(),
    configFile: null,
    progress: () => undefined,
    warn: () => undefined,
    portOwner: () => Promise.resolve(null),
    confirmLoss: () => Promise.resolve(true),
  }
  await ensureCluster(options, AbortSignal.timeout(20 * 60_000))
}

/** Made where it is not there. */
export async function nodeImage(): Promise<string> {
  const signal = AbortSignal.timeout(20 * 60_000)
  const { ref } = await ensureNodeImage(
    {
      env,
      endpoint: ENDPOINT,
      kindFolder: join(root, 'kind'),
      recipesFolder: join(root, 'compose/images'),
      source: 'local',
      progress: () => undefined,
    },
    signal,
  )
  return ref
}

/** `files`: path in the folder -> text; `compose.yaml` and `manifests/*.yaml` are among them. */
export async function makeKindProject(files: Readonly<Record<string, string>>): Promise<KindProject> {
  await ensureTestCluster()
  const cluster = await findCluster(testCluster(), AbortSignal.timeout(10_000))
  return await makeClusterProject(files, {
    kubeconfig: cluster?.kubeconfig ?? '',
    options: (name) => ({
      kind: 'kind',
      namespace: name,
      owner: null,
      registry: null,
      cluster: (signal) => findCluster(testCluster(), signal),
    }),
  })
}

/** A cluster for projects. */
export interface ClusterPlace {
  /** For kubectl. */
  readonly kubeconfig: string
  readonly options: (
    name: string,
  ) => Pick<KindEngineOptions, 'kind' | 'namespace' | 'owner' | 'registry' | 'cluster'>
}

export async function makeClusterProject(
  files: Readonly<Record<string, string>>,
  place: ClusterPlace,
  name = `dstest-${randomBytes(4).toString('hex')}`,
): Promise<KindProject> {
  const made = await mkdtemp(join(tmpdir(), 'devstack-kind-'))
  const folder = join(made, 'project')
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), text)
  }
  const open = (): Engine =>
    createKindEngine({
      ...place.options(name),
      compose: {
        folder,
        files: [join(folder, 'compose.yaml')],
        projectName: name,
        primary: true,
        stateFolder: join(made, 'state'),
        endpoint: ENDPOINT,
        env,
        images: { source: 'local', recipesFolder: join(root, 'compose/images') },
        portOwner: () => Promise.resolve(null),
        publishes: false,
        version: '0.0.0-test',
      },
      manifests: [join(folder, 'manifests')],
      agentFolder: join(root, 'src/engines/kind/inside/agent'),
    })
  const engine = open()
  const { namespace } = place.options(name)
  const kubectl = async (...args: readonly string[]): Promise<string> => {
    const argv = ['--kubeconfig', place.kubeconfig, '--namespace', namespace, ...args]
    return (await run('kubectl', argv, { env: { ...env, KUBECONFIG: '' } })).stdout.trim()
  }
  const docker = async (...args: readonly string[]): Promise<string> =>
    (await run('docker', [...args], { env })).stdout.trim()
  return {
    namespace,
    engine,
    open,
    kubectl,
    inside: async (service, argv) => {
      const signal = AbortSignal.timeout(20_000)
      const { instances } = await engine.observe(signal)
      const instance = instances.find((one) => one.service === service && one.state === 'running')
      if (instance === undefined) return { code: -1, out: '' }
      const lines: string[] = []
      const request = { argv, user: null, workdir: null, env: {} }
      const code = await engine.run(instance, request, (line) => lines.push(line), signal)
      return { code, out: lines.join('\n') }
    },
    things: async () => {
      const there = await kubectl('get', 'namespace', namespace, '--ignore-not-found', '--output', 'name')
      if (there === '') return []
      const all = await kubectl('get', 'all,configmaps,secrets,pvc', '--output', 'name')
      return [there, ...all.split('\n').filter((line) => line !== '' && !line.endsWith('kube-root-ca.crt'))]
    },
    processes: async (start) => {
      const { stdout } = await run('ps', ['-eo', 'args'])
      return stdout.split('\n').filter((line) => line.startsWith(start))
    },
    dispose: async () => {
      await kubectl('delete', 'namespace', namespace, '--ignore-not-found', '--wait=true').catch(() => '')
      const images = (await docker('images', '--quiet', '--filter', `reference=${name}-*`)).split('\n')
      const own = new Set(images.filter((id) => id !== ''))
      if (own.size > 0) await docker('rmi', '--force', ...own).catch(() => '')
      await rm(made, { recursive: true, force: true })
    },
  }
}
