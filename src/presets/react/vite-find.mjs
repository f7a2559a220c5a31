/** Finds the Vite that serves in this container: its address, its socket and its root. */
import { existsSync, readFileSync, readlinkSync, readdirSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { ask } from './vite-socket.mjs'

const LISTENING = '0A'
const LIKELY = [5173, 3000, 8080]

/**
 * @typedef {object} Vite
 * @property {import('./vite-socket.mjs').Address} address of its pages
 * @property {number} pid 0: not known
 * @property {string} base
 * @property {string} token changes with each start of the server
 * @property {readonly { readonly port: number, readonly path: string }[]} sockets where its updates may be had, the likeliest first
 */

/**
 * Asks every port that is listened on for Vite's client.
 * @returns {Promise<{ readonly vite: Vite | null, readonly others: readonly number[] }>} `others`: ports that answer as something else
 */
export async function findVite() {
  const others = []
  for (const { port, host, inode } of listening()) {
    for (const secure of [false, true]) {
      const address = { secure, host, port }
      const vite = await askForClient(address).catch(() => null)
      if (vite === null) continue
      if (vite.found !== null) return { vite: { ...vite.found, address, pid: owner(inode) }, others }
      others.push(port)
      break
    }
  }
  return { vite: null, others }
}

/**
 * Vite's client as it is served now at a known address.
 * @param {Vite} vite
 */
export async function askAgain(vite) {
  const again = await askForClient(vite.address)
  return again.found === null ? null : { ...vite, ...again.found }
}

async function askForClient(address) {
  let answer = await ask(address, '/@vite/client')
  // Vite says so itself when everything is below another base.
  const based = /public base URL of (\/[^\s<"]*)/.exec(answer.text)?.[1]
  if (based !== undefined) answer = await ask(address, `${based}@vite/client`)
  if (!answer.text.includes('vite-hmr')) return { found: null }
  const value = (name) =>
    new RegExp(`\\b${name} = (?:"([^"]*)"|(\\d+))`).exec(answer.text)?.slice(1).find(Boolean)
  const token = value('wsToken') ?? ''
  const base = value('base') ?? based ?? '/'
  const direct = /^[^/]*:(\d+)(\/.*)$/.exec(value('directSocketHost') ?? '')
  const below = /\.port\}\$\{"([^"]*)"\}/.exec(answer.text)?.[1] ?? direct?.[2] ?? base
  const ports = [Number(value('hmrPort') ?? address.port), address.port, Number(direct?.[1] ?? address.port)]
  const sockets = [...new Set(ports)].map((port) => ({ port, path: `${below}?token=${token}` }))
  return { found: { base, token, sockets } }
}

/** Ports that are listened on here, the likely ones first. */
function listening() {
  const found = new Map()
  for (const [file, host] of [
    ['/proc/net/tcp', '127.0.0.1'],
    ['/proc/net/tcp6', '::1'],
  ]) {
    for (const line of readText(file).split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
      const port = Number.parseInt(local.split(':')[1] ?? '', 16)
      if (state === LISTENING && !found.has(port)) found.set(port, { port, host, inode })
    }
  }
  const rank = ({ port }) => (LIKELY.includes(port) ? LIKELY.indexOf(port) : LIKELY.length)
  return [...found.values()].sort((one, other) => rank(one) - rank(other))
}

/** The process that holds a socket, as far as it may be looked at. */
function owner(inode) {
  const wanted = `socket:[${inode}]`
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const folder = `/proc/${pid}/fd`
      if (readdirSync(folder).some((name) => linkOf(`${folder}/${name}`) === wanted)) return Number(pid)
    } catch {
      // Another user's, or gone.
    }
  }
  return 0
}

/**
 * Folders that may be Vite's root, the likeliest first: with a page, then a folder among its arguments, where it was started, `folders`.
 * @param {number} pid
 * @param {readonly string[]} folders
 */
export function possibleRoots(pid, folders) {
  const started = linkOf(`/proc/${pid}/cwd`) ?? process.cwd()
  const words = readText(`/proc/${pid}/cmdline`).split('\0').slice(2)
  const named = words
    .filter((word) => word !== '' && !word.startsWith('-'))
    .map((word) => resolve(started, word))
  const all = [...named.filter(isFolder), started, ...folders]
  const withPage = (folder) => existsSync(`${folder}/index.html`)
  return [...new Set([...all.filter(withPage), ...all])]
}

function isFolder(path) {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function linkOf(path) {
  try {
    return readlinkSync(path)
  } catch {
    return null
  }
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
