// What the benchmarks call of devstack itself, bundled by `bundled.ts`.
import { join } from 'node:path'
import { createDocker } from '../../../src/engines/compose/docker.js'
import { ensureCluster } from '../../../src/engines/kind/cluster/ensure.js'
import type { ClusterOptions } from '../../../src/engines/kind/cluster/options.js'
import { removeCluster } from '../../../src/engines/kind/cluster/remove.js'
import { sendImages } from '../../../src/engines/kind/images/send-images.js'
import type { SentImage } from '../../../src/engines/kind/images/send-images.js'
import { describeNodeImage, ensureNodeImage } from '../../../src/engines/kind/node-image/node-image.js'
import type { NodeImage, NodeImageDescription } from '../../../src/engines/kind/node-image/node-image.js'

const endpoint = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock'
const ignore = (): void => undefined
const minutes = (count: number): AbortSignal => AbortSignal.timeout(count * 60_000)

function nodeImageOptions(root: string) {
  return {
    env: process.env,
    endpoint,
    kindFolder: join(root, 'kind'),
    recipesFolder: join(root, 'compose/images'),
    source: 'local',
  } as const
}

export async function bringNodeImage(root: string): Promise<NodeImage> {
  return await ensureNodeImage({ ...nodeImageOptions(root), progress: ignore }, minutes(20))
}

export async function lookAtNodeImage(root: string): Promise<NodeImageDescription> {
  return await describeNodeImage(nodeImageOptions(root), minutes(1))
}

export interface NamedCluster {
  readonly name: string
  readonly stateRoot: string
}

function options({ name, stateRoot }: NamedCluster): ClusterOptions {
  return { name, stateRoot, docker: createDocker(endpoint), env: process.env }
}

export async function makeCluster(cluster: NamedCluster, image: string, configFile: string): Promise<void> {
  const answers = {
    progress: ignore,
    warn: ignore,
    portOwner: () => Promise.resolve(null),
    confirmLoss: () => Promise.resolve(false),
  }
  await ensureCluster({ ...options(cluster), image, configFile, ...answers }, minutes(10))
}

export async function dropCluster(cluster: NamedCluster): Promise<void> {
  await removeCluster({ ...options(cluster), namespace: cluster.name, force: true, say: ignore }, minutes(5))
}

export async function send(node: string, images: readonly SentImage[]): Promise<number> {
  const docker = createDocker(endpoint)
  return (await sendImages({ docker, nodes: [node], images, progress: ignore }, minutes(10))).bytes
}
