import { figure, report } from '../support.ts'
import { changed, kindShop, versions } from './shop.ts'

const SAMPLES = Number(process.env['DEVSTACK_SAMPLES'] ?? 15)

/** All runs already and no session: from exec to exit, and what became another in the cluster. */
export async function nothing(): Promise<void> {
  const shop = await kindShop()
  await shop.up()
  const ours: number[] = []
  const joined: number[] = []
  const before = await versions(shop, shop.namespace)
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    await shop.endSession()
    ours.push(await timed(() => shop.up()))
    joined.push(await timed(() => shop.up()))
  }
  const objects = changed(before, await versions(shop, shop.namespace))
  // The machine has no room for two shops.
  await shop.devstack('down', '--volumes', '--yes')
  const { peer } = shop
  await peer.up()
  const theirs: number[] = []
  const peerBefore = await versions(shop, peer.namespace)
  for (let sample = 0; sample < SAMPLES; sample += 1)
    theirs.push(await timed(() => shop.kubectl('apply', '-k', peer.folder)))
  const peerObjects = changed(peerBefore, await versions(shop, peer.namespace))
  await peer.down()
  await shop.up()
  await report('kind-nothing', {
    'devstack up --detach, ms (goal 1000)': figure(ours),
    'the same, a session runs, ms': figure(joined),
    'objects changed (goal 0)': objects,
    'objects looked at': before.size,
    'kubectl apply -k, ms': figure(theirs),
    'kubectl: objects changed': peerObjects,
  })
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await work()
  return performance.now() - begin
}
