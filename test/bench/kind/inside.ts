import { figure, report } from '../support.ts'
import { withBundled } from './bundled.ts'
import type * as Figures from './inside-figures.ts'

/**
 * What it costs to work inside of pods, in a cluster that is there: `NAME:KUBECONFIG` in DEVSTACK_TEST_PODS. Beside kubectl.
 */
export async function inside(): Promise<void> {
  await withBundled('inside-figures.ts', async (bundled) => {
    const { measureInside } = bundled as typeof Figures
    const samples = Object.entries(await measureInside())
    await report('inside', Object.fromEntries(samples.map(([name, values]) => [name, figure(values)])))
  })
}
