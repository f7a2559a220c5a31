// Exits 0 when node_modules holds what package-lock.json asks for. npm writes node_modules/.package-lock.json last, so
// a half install has none. Optional packages for other machines may lack. Runs on any Node from 14 on.
import { readFileSync } from 'node:fs'

const packages = (file) => JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')).packages
const same = (wanted, installed) =>
  installed === undefined
    ? wanted.optional === true || wanted.devOptional === true
    : installed.version === wanted.version && installed.integrity === wanted.integrity

try {
  const wanted = packages('../package-lock.json')
  const installed = packages('../node_modules/.package-lock.json')
  const lacks = Object.keys(wanted).filter((path) => path !== '' && !same(wanted[path], installed[path]))
  const extra = Object.keys(installed).filter((path) => wanted[path] === undefined)
  process.exitCode = lacks.length + extra.length === 0 ? 0 : 1
} catch {
  process.exitCode = 1
}
