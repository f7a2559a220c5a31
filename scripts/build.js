// Bundles the command line into dist/, so that it starts fast: each verb and each heavy library is a chunk that is loaded
// where it is used. `dist/main.js` is the command, `dist/session.js` the session's process.
import { build } from 'esbuild'
import { readFile, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8'))

await rm(`${root}dist`, { recursive: true, force: true })
await build({
  absWorkingDir: root,
  entryPoints: { main: 'src/cli/entry.ts', session: 'src/cli/session-main.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  minify: true,
  keepNames: true,
  legalComments: 'linked',
  define: { 'process.env.NODE_ENV': '"production"', DEVSTACK_VERSION: JSON.stringify(version) },
  // Optional native parts of the engine's client, for ssh endpoints: it works without.
  external: ['cpu-features', './crypto/build/Release/sshcrypto.node', 'react-devtools-core'],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
})
