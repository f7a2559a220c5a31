import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { figure, report, root } from '../support.ts'
import { withBundled } from './bundled.ts'
import type * as Product from './product.ts'
import { closeKindShop } from './shop.ts'

const run = promisify(execFile)
const SAMPLES = Number(process.env['DEVSTACK_SAMPLES'] ?? 5)

/**
 * The node image in the user's cache and not in the engine: until it is there, beside `docker load` of the same file. Needs an
 * engine where nothing holds on to the image or its layers: no cluster, no older node image.
 */
export async function nodeImage(): Promise<void> {
  await closeKindShop()
  const times = { devstack: [] as number[], docker: [] as number[] }
  let bytes = 0
  await withBundled('product.ts', async (bundled) => {
    const product = bundled as typeof Product
    const { saved } = await product.bringNodeImage(root)
    await saved
    const { ref } = await product.lookAtNodeImage(root)
    const file = cacheFile(ref)
    bytes = (await stat(file)).size
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      await removeImage(ref)
      let begin = performance.now()
      const brought = await product.bringNodeImage(root)
      times.devstack.push(performance.now() - begin)
      if (brought.origin !== 'loaded') throw new Error(`${ref} was ${brought.origin}, not loaded`)
      await brought.saved
      await removeImage(ref)
      begin = performance.now()
      await run('docker', ['load', '--input', file])
      times.docker.push(performance.now() - begin)
    }
  })
  const [ours, theirs] = [figure(times.devstack), figure(times.docker)]
  await report('kind-node-image', {
    'devstack: loaded from the cache, ms (goal 15000)': ours,
    'docker load of the file, ms': theirs,
    'ratio of medians': ours.median / theirs.median,
    'the file, MB': bytes / 1e6,
  })
}

/** As `cache.ts` names it: by the recipe's hash, whose beginning is the image's tag. */
function cacheFile(ref: string): string {
  const hash = ref.replace(/^.*:/, '')
  return join(
    process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
    'devstack/node-image',
    `${hash}.tar.zst`,
  )
}

async function removeImage(ref: string): Promise<void> {
  const repository = ref.replace(/:[^:]*$/, '')
  const { stdout } = await run('docker', ['images', '--quiet', '--no-trunc', repository])
  const ids = new Set(stdout.split('\n').filter((id) => id !== ''))
  if (ids.size > 1) throw new Error(`remove the other images of ${repository}: their layers would stay`)
  // Without force: one that a container was made from stays, and this fails.
  await run('docker', ['rmi', ref])
}
