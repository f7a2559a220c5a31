import { figure, report } from '../support.ts'
import { kindShop, untilHealthy } from './shop.ts'

const SAMPLES = Number(process.env['DEVSTACK_SAMPLES'] ?? 7)

/**
 * Cluster and images there, the namespace empty: devstack and plain kubectl in turn, over the same manifests and images. Each is
 * done when its commands have ended and one outside observer was answered by a page that asks every store.
 */
export async function up(): Promise<void> {
  const shop = await kindShop()
  const { peer } = shop
  const times = { devstack: [] as number[], kubectl: [] as number[] }
  const answered = { devstack: [] as number[], kubectl: [] as number[] }
  const sides = {
    devstack: { address: () => shop.address, up: () => shop.up(), down: () => emptied(shop) },
    kubectl: { address: () => peer.address, up: () => peer.up(), down: () => peer.down() },
  }
  await emptied(shop)
  // The first of each is not counted: caches are warm then.
  for (let sample = -1; sample < SAMPLES; sample += 1) {
    for (const name of ['devstack', 'kubectl'] as const) {
      const side = sides[name]
      const begin = performance.now()
      const [healthy] = await Promise.all([untilHealthy(side.address, begin), side.up()])
      const done = performance.now() - begin
      if (sample >= 0) {
        times[name].push(done)
        answered[name].push(healthy)
      }
      await side.down()
    }
  }
  await shop.up()
  const [ours, theirs] = [figure(times.devstack), figure(times.kubectl)]
  await report('kind-up', {
    'devstack up --detach, ms': ours,
    'kubectl apply -k and wait, ms': theirs,
    'ratio of medians (goal 1.1)': ours.median / theirs.median,
    'devstack: first good answer, ms': figure(answered.devstack),
    'kubectl: first good answer, ms': figure(answered.kubectl),
  })
}

/** The namespace and all in it, the data too. */
async function emptied(shop: Awaited<ReturnType<typeof kindShop>>): Promise<void> {
  await shop.devstack('down', '--volumes', '--yes')
}
