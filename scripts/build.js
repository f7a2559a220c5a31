// Bundles the command line into dist/, so that it starts fast: each verb and each heavy library is a chunk that is loaded
// where it is used. `dist/main.js` is the command, `dist/session.js` the session's process,
// `dist/watch-worker.js` the thread that watches files.
import { build } from 'esbuild'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8'))

/**
 * The terminal's layout engine unpacks its own WebAssembly with `fetch`, which loads all of Node's HTTP client; the way
 * that it keeps for older systems needs 50 ms of processor time less.
 */
const unpackWithoutFetch = {
  name: 'unpack-without-fetch',
  setup({ onLoad }) {
    onLoad({ filter: /yoga-wasm-base64-esm\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const contents = text.replaceAll('"function"!=typeof fetch', 'true')
      if (contents === text)
        throw new Error(`${path} has changed: see unpackWithoutFetch in scripts/build.js`)
      return { contents, loader: 'js' }
    })
  },
}

/**
 * Importing Node's `http` as a module asks for each of its exports, WebSocket too, which loads a second HTTP client: 60 ms.
 * By `require` that is left until somebody asks.
 */
const requireHttp = {
  name: 'require-http',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(?:node:)?http$/ }, ({ namespace }) =>
      namespace === 'required'
        ? { path: 'node:http', external: true }
        : { path: 'node:http', namespace: 'required' },
    )
    onLoad({ filter: /.*/, namespace: 'required' }, () => ({
      contents: "module.exports = require('node:http')",
      loader: 'js',
    }))
  },
}

/**
 * The packages that measure text make segmenters and one expression over all emoji as they load, some 30 ms together. Most
 * commands print plain ASCII, which needs none of them.
 */
const makeUnicodeLate = {
  name: 'make-unicode-late',
  setup({ onLoad }) {
    onLoad({ filter: /(?:string-width|slice-ansi|wrap-ansi)[\\/][\w-]+\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const segmenter =
        '((made) => ({ segment: (text) => (made ??= new Intl.Segmenter($1)).segment(text) }))()'
      const emoji = '((made) => ({ test: (text) => (made ??= $&).test(text) }))()'
      const contents = text
        .replaceAll(/new Intl\.Segmenter\(([^)]*)\)/g, segmenter)
        .replaceAll('/^\\p{RGI_Emoji}$/v', emoji)
      return { contents, loader: 'js' }
    })
  },
}

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

/** CommonJS packages in the bundle ask for Node's own modules by `require`. */
const banner = {
  js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
}

// Built beside, then swapped: a build that fails, and one that is interrupted, leave the last good one in place.
await rm(`${root}dist.new`, { recursive: true, force: true })
await build({
  absWorkingDir: root,
  entryPoints: {
    main: 'src/cli/entry.ts',
    session: 'src/cli/session-entry.ts',
    'watch-worker': 'src/host/watch/worker.ts',
  },
  outdir: 'dist.new',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  minify: true,
  keepNames: true,
  legalComments: 'linked',
  define: {
    'process.env.NODE_ENV': '"production"',
    DEVSTACK_VERSION: JSON.stringify(version),
    DEVSTACK_BUILD: JSON.stringify(new Date().toISOString()),
  },
  external: ['react-devtools-core'],
  // Parts of the engine's client that devstack never calls, a megabyte to load: engines on other machines over ssh, and
  // BuildKit's own session. Builds go through the command line. Of the cluster's client only what reads a kubeconfig is
  // called: neither its typed calls nor the HTTP client beneath them, another megabyte.
  plugins: [
    requireHttp,
    makeUnicodeLate,
    unpackWithoutFetch,
    leaveOut(['ssh2', '@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs', 'undici', './gen/index.js']),
  ],
  banner,
  // The terminal UI sets NODE_ENV for runs from source; in the bundle it is the constant above.
  logOverride: { 'assign-to-define': 'silent' },
  logLevel: 'warning',
})
await writeSchema()
await rm(`${root}dist.old`, { recursive: true, force: true })
await rename(`${root}dist`, `${root}dist.old`).catch((error) => {
  if (error.code !== 'ENOENT') throw error
})
await rename(`${root}dist.new`, `${root}dist`)
await rm(`${root}dist.old`, { recursive: true, force: true })

/** The JSON Schema of devstack.yaml, for editors. */
async function writeSchema() {
  const outfile = `${root}dist.new/schema.mjs`
  await build({
    absWorkingDir: root,
    entryPoints: ['src/core/config.ts'],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    banner,
  })
  const { devstackSchema } = await import(outfile)
  await writeFile(`${root}dist.new/devstack.schema.json`, `${JSON.stringify(devstackSchema(), null, 2)}\n`)
  await rm(outfile)
}
