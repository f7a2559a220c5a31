/** Loads Vite's configuration as Vite does: it keeps the old one where the new one is bad, and says so only in its log. */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { placeOf } from './vite-error.mjs'

const run = promisify(execFile)

const LOAD = `
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
const [root, file] = process.argv.slice(1)
const entry = createRequire(root + '/package.json').resolve('vite')
const vite = await import(pathToFileURL(entry).href)
const loaded = await vite.loadConfigFromFile({ command: 'serve', mode: 'development' }, file, root, 'silent').then(
  (found) => ({ files: found?.dependencies }),
  (error) => {
    const { message, id, frame, loc, stack } = error
    return { error: { message: message ?? String(error), id, frame, loc, stack } }
  },
)
console.log(JSON.stringify(loaded))
process.exit(0)
`

/**
 * @param {string} root
 * @param {string} file the configuration
 * @returns {Promise<{ readonly error: ReturnType<typeof placeOf> | null, readonly files: readonly string[] | null }>} `error`: null
 * where there is none, or it cannot be told; `files`: those that it was made of, null where that cannot be told
 */
export async function checkConfig(root, file) {
  const argv = ['--input-type=module', '-e', LOAD, '--', root, file]
  const { stdout } = await run(process.execPath, argv, { cwd: root, timeout: 30_000 }).catch(() => ({
    stdout: '',
  }))
  const { error, files } = loadedIn(stdout.trim().split('\n').at(-1) ?? '')
  const place = typeof error?.message === 'string' ? placeOf(error) : null
  return {
    error: place === null ? null : { ...place, file: resolve(root, place.file ?? file) },
    files: Array.isArray(files) ? files.map((path) => resolve(root, path)) : null,
  }
}

/** What the configuration itself prints says nothing. */
function loadedIn(line) {
  try {
    return JSON.parse(line) ?? {}
  } catch {
    return {}
  }
}
