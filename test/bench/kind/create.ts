import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { figure, report, root } from '../support.ts'
import { withBundled } from './bundled.ts'
import type * as Product from './product.ts'
import { closeKindShop, CLUSTER_CONFIG, clusterName } from './shop.ts'

const run = promisify(execFile)
const SAMPLES = Number(process.env['DEVSTACK_SAMPLES'] ?? 5)

/** The node image there, no cluster: devstack and kind itself in turn, by the same configuration and image. */
export async function create(): Promise<void> {
  await closeKindShop()
  const folder = await mkdtemp(join(tmpdir(), 'devstack-bench-create-'))
  const times = { devstack: [] as number[], kind: [] as number[] }
  try {
    await withBundled('product.ts', async (bundled) => {
      const product = bundled as typeof Product
      const configFile = join(folder, 'cluster.yaml')
      await writeFile(configFile, CLUSTER_CONFIG)
      const { ref } = await product.bringNodeImage(root)
      const own = { name: `${clusterName()}-own`, stateRoot: join(folder, 'devstack') }
      const plain = `${clusterName()}-plain`
      const kubeconfig = ['--kubeconfig', join(folder, 'kubeconfig')]
      const env = { ...process.env, KUBECONFIG: '' }
      const kind = async (...argv: readonly string[]): Promise<void> => {
        await run('kind', [...argv, ...kubeconfig], { env })
      }
      for (let sample = 0; sample < SAMPLES; sample += 1) {
        try {
          times.devstack.push(await timed(() => product.makeCluster(own, ref, configFile)))
        } finally {
          await product.dropCluster(own)
        }
        const argv = ['create', 'cluster', '--name', plain, '--image', ref, '--config', configFile]
        try {
          times.kind.push(await timed(() => kind(...argv)))
        } finally {
          await kind('delete', 'cluster', '--name', plain)
        }
      }
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  const [ours, theirs] = [figure(times.devstack), figure(times.kind)]
  await report('kind-create', {
    'devstack: cluster made, ms': ours,
    'kind create cluster, ms': theirs,
    'ratio of medians (goal 1.1)': ours.median / theirs.median,
  })
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await work()
  return performance.now() - begin
}
