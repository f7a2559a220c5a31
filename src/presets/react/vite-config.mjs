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
await vite.loadConfigFromFile({ command: 'serve', mode: 'development' }, file, root, 'silent').catch((error) => {
  const { message, id, frame, loc, stack } = error
  console.log(JSON.stringify({ message: message ?? String(error), id, frame, loc, stack }))
})
process.exit(0)
`

/**
 * The error in a configuration; null where there is none, or it cannot be told.
 * @param {string} root
 * @param {string} file
 */
export async function checkConfig(root, file) {
  const argv = ['--input-type=module', '-e', LOAD, '--', root, file]
  const { stdout } = await run(process.execPath, argv, { cwd: root, timeout: 30_000 }).catch(() => ({
    stdout: '',
  }))
  const error = errorIn(stdout.trim().split('\n').at(-1) ?? '')
  if (error === null) return null
  const place = placeOf(error)
  return { ...place, file: resolve(root, place.file ?? file) }
}

/** What the configuration itself prints is none. */
function errorIn(line) {
  try {
    const error = JSON.parse(line)
    return typeof error?.message === 'string' ? error : null
  } catch {
    return null
  }
}
