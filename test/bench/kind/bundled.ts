import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { root } from '../support.ts'

/** Works with a module that imports devstack's sources, which are TypeScript that Node does not run by itself. */
export async function withBundled(entry: string, work: (module: unknown) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(root, 'test/bench/kind/built-'))
  try {
    const outfile = join(folder, 'bundled.mjs')
    const banner = {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    }
    await build({
      absWorkingDir: root,
      entryPoints: [`test/bench/kind/${entry}`],
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'node',
      packages: 'external',
      banner,
    })
    await work(await import(pathToFileURL(outfile).href))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
