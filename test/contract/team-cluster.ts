import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openTeamCluster } from '../../src/engines/kind/team-cluster.js'
import { ENDPOINT, engineIsThere } from './compose-there.js'
import { nodeImage } from './kind-project.js'
import type { ClusterPlace } from './kind-project.js'

const run = promisify(execFile)
const env = { ...process.env, DOCKER_HOST: ENDPOINT, KUBECONFIG: '' }

/** Whether tests make a second cluster, which stands in for one that somebody else runs. */
export async function teamClusterIsThere(): Promise<boolean> {
  const needed = (process.env['DEVSTACK_ENGINES'] ?? '').split(',').includes('kubernetes')
  if (needed && !(await engineIsThere()))
    throw new Error('DEVSTACK_ENGINES=kubernetes, but no Docker engine answers')
  return needed
}

/** A cluster of three nodes and a registry beside it, that devstack has no hand in. */
export interface TeamCluster {
  readonly context: string
  readonly server: string
  readonly kubeconfig: string
  /** `127.0.0.1:34567/shop`, for this machine and for the nodes. */
  readonly registry: string
  /** A developer's part of it; `namespace`: of another developer. */
  place(user: string, namespace?: string): ClusterPlace
  kubectl(...args: readonly string[]): Promise<string>
  dispose(): Promise<void>
}

const NAME = process.env['DEVSTACK_TEAM_CLUSTER'] ?? 'devstack-test-team'
const REGISTRY = `${NAME}-registry`

/** Nodes ask the registry over plain HTTP, by the network that they share with it. */
const CONFIG = `
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking: { apiServerAddress: 127.0.0.1 }
containerdConfigPatches:
  - |-
    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = "/etc/containerd/certs.d"
nodes: [{ role: control-plane }, { role: worker }, { role: worker }]
`

const REGISTRY_IMAGE = `
FROM devstack/base:local
RUN apt-get update -q && apt-get install -qy --no-install-recommends docker-registry
CMD ["docker-registry", "serve", "/etc/registry.yml"]
COPY registry.yml /etc/registry.yml
`
const REGISTRY_CONFIG = `
version: 0.1
storage: { filesystem: { rootdirectory: /var/lib/registry }, delete: { enabled: true } }
http: { addr: ':5000' }
`

export async function makeTeamCluster(): Promise<TeamCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-team-'))
  const kubeconfig = join(folder, 'kubeconfig')
  const config = join(folder, 'cluster.yaml')
  await writeFile(config, CONFIG)
  const wasThere = (await kind('get', 'clusters')).split('\n').includes(NAME)
  if (wasThere) await kind('export', 'kubeconfig', '--name', NAME, '--kubeconfig', kubeconfig)
  else {
    const made = [
      '--config',
      config,
      '--image',
      await nodeImage(),
      '--kubeconfig',
      kubeconfig,
      '--wait',
      '180s',
    ]
    await kind('create', 'cluster', '--name', NAME, ...made)
  }
  const port = await startRegistry(folder)
  const nodes = (await kind('get', 'nodes', '--name', NAME)).split('\n')
  await Promise.all(nodes.map((node) => tellNode(node, port)))
  const context = `kind-${NAME}`
  const kubectl = async (...args: readonly string[]): Promise<string> =>
    (await run('kubectl', ['--kubeconfig', kubeconfig, ...args], { env })).stdout.trim()
  const server = await kubectl('config', 'view', '--output', 'jsonpath={.clusters[0].cluster.server}')
  const registry = `127.0.0.1:${port}/shop`
  return {
    context,
    server,
    kubeconfig,
    registry,
    kubectl,
    place: (user, wanted = user) => ({
      kubeconfig,
      options: (name) => {
        const own = { namespace: `${name}-${wanted}`, owner: `${user} ${name}` }
        return {
          ...own,
          kind: 'kubernetes',
          registry: { name: registry, env },
          cluster: (signal) =>
            openTeamCluster({ ...own, kubeconfigs: [kubeconfig], context, server, project: name }, signal),
        }
      },
    }),
    dispose: async () => {
      await docker('rm', '--force', '--volumes', REGISTRY)
      // Who made it removes it.
      if (!wasThere) await kind('delete', 'cluster', '--name', NAME, '--kubeconfig', kubeconfig)
      for (const path of ['*', '*/*'])
        // The last is that of the registry which nobody is.
        for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, '127.0.0.1:1'])
          await removeImages(`${host}/shop/${path}`)
      await removeImages(REGISTRY)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The port of this machine that leads to it. */
async function startRegistry(folder: string): Promise<string> {
  const base = (await docker('images', '--format', '{{.Repository}}:{{.Tag}}', 'devstack/base')).split(
    '\n',
  )[0]
  await writeFile(join(folder, 'Dockerfile'), REGISTRY_IMAGE.replace('devstack/base:local', base ?? ''))
  await writeFile(join(folder, 'registry.yml'), REGISTRY_CONFIG)
  await docker('rm', '--force', '--volumes', REGISTRY)
  await docker('build', '--quiet', '--tag', REGISTRY, folder)
  await docker(
    'run',
    '--detach',
    '--name',
    REGISTRY,
    '--network',
    'kind',
    '--publish',
    '127.0.0.1::5000',
    REGISTRY,
  )
  return (await docker('port', REGISTRY, '5000/tcp')).split('\n')[0]?.split(':').at(-1) ?? ''
}

async function tellNode(node: string, port: string): Promise<void> {
  const folder = `/etc/containerd/certs.d/127.0.0.1:${port}`
  const hosts = `[host."http://${REGISTRY}:5000"]`
  await docker('exec', node, 'mkdir', '-p', folder)
  await docker('exec', node, 'sh', '-c', `echo '${hosts}' > ${folder}/hosts.toml`)
}

async function removeImages(reference: string): Promise<void> {
  const found = await docker('images', '--format', '{{.Repository}}:{{.Tag}}', reference)
  const names = found.split('\n').filter((name) => name !== '')
  if (names.length > 0) await docker('rmi', ...names).catch(() => '')
}

async function docker(...args: readonly string[]): Promise<string> {
  return (await run('docker', [...args], { env })).stdout.trim()
}

async function kind(...args: readonly string[]): Promise<string> {
  return (await run('kind', [...args], { env })).stdout.trim()
}
