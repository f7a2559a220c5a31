/** Which files a configuration of Vite may import, by its text: to have Vite load it for each saved file would take too long. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** In the order in which Vite looks for them. */
const CONFIGS = ['js', 'mjs', 'ts', 'cjs', 'mts', 'cts'].map((end) => `vite.config.${end}`)
const IMPORT = /\b(?:from|import|require)\s*\(?\s*["'](\.{1,2}(?:\/[^"']*)?)["']/g
const ENDS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.jsx', '.tsx', '.json']
/** More files than these belong to no configuration. */
const MOST = 200

/**
 * The configuration in a folder or above it, the closest one; null where there is none.
 * @param {string} root
 */
export function configOf(root) {
  for (let folder = root; ; folder = dirname(folder)) {
    const found = CONFIGS.map((name) => join(folder, name)).find((path) => existsSync(path))
    if (found !== undefined) return found
    if (folder === dirname(folder)) return null
  }
}

/**
 * Paths that the file, or one that it imports, may mean: some of them are not there.
 * @param {string} file
 * @returns {ReadonlySet<string>}
 */
export function importsOf(file) {
  const found = new Set()
  const queue = [file]
  for (let count = 0; queue.length > 0 && count < MOST; count += 1) {
    const from = queue.shift()
    for (const [, name = ''] of readFileSync(from, 'utf8').matchAll(IMPORT)) {
      const meant = meanings(resolve(dirname(from), name)).filter((path) => !found.has(path))
      for (const path of meant) found.add(path)
      queue.push(...meant.filter((path) => isFile(path)))
    }
  }
  return found
}

/** `./x` may be a file, a file with an ending, or a folder; `./x.js` is written for `x.ts` too. */
function meanings(path) {
  const typed = path.replace(/\.([cm]?)js(x?)$/, '.$1ts$2')
  const below = ENDS.flatMap((end) => [`${path}${end}`, `${path}/index${end}`])
  return [...new Set([path, typed, ...below])]
}

function isFile(path) {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}
