import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { figure, report, root } from '../support.ts'
import type * as Figures from './inside-figures.ts'

/**
 * What it costs to work inside of pods, in a cluster that is there: `NAME:KUBECONFIG` in DEVSTACK_TEST_PODS. Beside kubectl.
 */
export async function inside(): Promise<void> {
  // The sources are TypeScript that Node does not run by itself.
  const folder = await mkdtemp(join(root, 'test/bench/kind/built-'))
  try {
    const outfile = join(folder, 'inside.mjs')
    const banner = {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    }
    await build({
      absWorkingDir: root,
      entryPoints: ['test/bench/kind/inside-figures.ts'],
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'node',
      packages: 'external',
      banner,
    })
    const { measureInside } = (await import(pathToFileURL(outfile).href)) as typeof Figures
    const samples = Object.entries(await measureInside())
    await report('inside', Object.fromEntries(samples.map(([name, values]) => [name, figure(values)])))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
