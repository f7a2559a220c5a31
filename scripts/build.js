// Bundles the command line into dist/, so that it starts fast: each verb and each heavy library is a chunk that is loaded
// where it is used. `dist/main.js` is the command, `dist/session.js` the session's process.
import { build } from 'esbuild'
import { readFile, rename, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8'))

/** Replaces packages by an empty module. */
function leaveOut(names) {
  const filter = new RegExp(`^(?:${names.map((name) => name.replaceAll('/', '\\/')).join('|')})$`)
  return {
    name: 'leave-out',
    setup({ onResolve, onLoad }) {
      onResolve({ filter }, ({ path }) => ({ path, namespace: 'left-out' }))
      onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({
        contents: 'module.exports = {}',
        loader: 'js',
      }))
    },
  }
}

// Built beside, then swapped: a build that fails, and one that is interrupted, leave the last good one in place.
await rm(`${root}dist.new`, { recursive: true, force: true })
await build({
  absWorkingDir: root,
  entryPoints: { main: 'src/cli/entry.ts', session: 'src/cli/session-main.ts' },
  outdir: 'dist.new',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  minify: true,
  keepNames: true,
  legalComments: 'linked',
  define: { 'process.env.NODE_ENV': '"production"', DEVSTACK_VERSION: JSON.stringify(version) },
  external: ['react-devtools-core'],
  // Parts of the engine's client that devstack never calls, a megabyte to load: engines on other machines over ssh, and
  // BuildKit's own session. Builds go through the command line.
  plugins: [leaveOut(['ssh2', '@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs'])],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  // The terminal UI sets NODE_ENV for runs from source; in the bundle it is the constant above.
  logOverride: { 'assign-to-define': 'silent' },
  logLevel: 'warning',
})
await rm(`${root}dist.old`, { recursive: true, force: true })
await rename(`${root}dist`, `${root}dist.old`).catch((error) => {
  if (error.code !== 'ENOENT') throw error
})
await rename(`${root}dist.new`, `${root}dist`)
await rm(`${root}dist.old`, { recursive: true, force: true })
