/** Decides whether Vite took files up, by what it tells its pages. */
import { rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkConfig } from './vite-config.mjs'
import { placeOf } from './vite-error.mjs'
import { ask } from './vite-socket.mjs'

/**
 * A page that nobody opens. When it changes Vite tells all pages to reload that show it, none: so one knows that it has
 * handled every change before.
 */
const CANARY = '.devstack-proof.html'
/** For a message that names a file; then the canary is asked. */
const NAMED_MS = 100
const CANARY_MS = 3000
const RESTART_MS = 20_000
const CONFIG = /\/vite\.config\.[cm]?[jt]s$/
const ENVIRONMENT = /\/\.env(\.local|\.development|\.development\.local)?$/

/**
 * @param {import('./vite-find.mjs').Vite} found
 * @param {readonly string[]} mounts folders that are the user's own: nothing is written there
 * @param {(error: object | null) => void} changed what an open page met
 */
export function makeProof(found, mounts, changed) {
  let vite = found
  let root = process.cwd()
  let canary = false
  let restarts = 0
  /** Messages with the time at which they were heard: since the oldest that can still prove something. */
  let heard = []
  let listeners = new Set()
  let busy = 0

  const hear = (text) => {
    const message = JSON.parse(text)
    if (!['update', 'full-reload', 'prune', 'error'].includes(message.type)) return
    heard = [...heard.slice(-500), { at: Date.now(), message }]
    for (const listener of listeners) listener()
    if (message.type === 'error' && busy === 0) changed(placeOf(message.err))
  }
  const restarted = (fresh) => {
    vite = fresh
    restarts += 1
    for (const listener of listeners) listener()
  }

  /** True as soon as `check` is, asked again whenever something was heard. */
  const until = (check, ms) =>
    new Promise((resolve) => {
      const end = (result) => {
        listeners.delete(look)
        clearTimeout(timer)
        resolve(result)
      }
      const look = () => check() && end(true)
      const timer = setTimeout(() => end(check()), ms)
      listeners.add(look)
      look()
    })

  const urlOf = (path) => (path.startsWith(`${root}/`) ? `/${relative(root, path)}` : `/@fs${path}`)
  const since = (ms) => heard.filter(({ at }) => at >= ms).map(({ message }) => message)

  /** The message that names the file and was made after it was written. */
  const naming = (path, written) => {
    const url = urlOf(path)
    return since(written).find((message) => {
      if (message.type === 'update') {
        return message.updates.some(
          (update) =>
            update.timestamp >= written &&
            [update.path, update.acceptedPath].some((name) => bare(name) === url),
        )
      }
      if (message.type === 'full-reload') return message.triggeredBy === path || message.path === url
      return message.type === 'prune' ? message.paths.some((name) => bare(name) === url) : false
    })
  }
  const errorSince = (ms) => since(ms).find((message) => message.type === 'error')

  /** Touches a page of Vite's and waits until it tells so. */
  const askPage = async (name) => {
    const path = join(root, name)
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const asked = Date.now()
      const now = new Date()
      if (name === CANARY) writeIfGone(path)
      utimesSync(path, now, now)
      const told = () => naming(path, asked) !== undefined
      if (await until(told, CANARY_MS)) return true
    }
    return false
  }

  const findRoot = async (candidates) => {
    for (const candidate of candidates) {
      root = candidate
      if (mounts.some((mount) => candidate === mount || candidate.startsWith(`${mount}/`))) continue
      try {
        canary = await askPage(CANARY)
      } catch {
        canary = false
      }
      if (canary) return
      clean()
    }
    root = candidates[0] ?? root
  }

  const clean = () => {
    try {
      rmSync(join(root, CANARY), { force: true })
    } catch {
      // Not ours to write in.
    }
  }

  /** What a page that shows the file would get: it is made now, so an error in it is known at once. */
  const serves = async (message, path) => {
    const url = urlOf(path)
    const update = message?.updates?.find(
      ({ type, acceptedPath }) => type === 'js-update' && bare(acceptedPath) === url,
    )
    if (update === undefined) return null
    const { acceptedPath, timestamp } = update
    const from = Date.now()
    const address = `${vite.base.replace(/\/$/, '')}${acceptedPath}${acceptedPath.includes('?') ? '&' : '?'}t=${timestamp}`
    const { status } = await ask(vite.address, address, { Accept: '*/*', 'Sec-Fetch-Dest': 'script' })
    if (status < 400) return null
    await until(() => errorSince(from) !== undefined, 500)
    const error = errorSince(from)
    return error === undefined
      ? { message: `${url} is answered with ${status}`, file: path, line: null, column: null, output: [] }
      : placeOf(error.err)
  }

  const proveRestart = async (path, before) => {
    const check = CONFIG.test(path) ? await checkConfig(root, path) : null
    if (check !== null && restarts === before) return { type: 'failed', error: check }
    if (await until(() => restarts > before, RESTART_MS)) {
      return { type: 'taken', what: 'restart', detail: `Vite restarted for ${relative(root, path)}` }
    }
    return { type: 'restart', reason: `Vite did not restart by itself for ${relative(root, path)}` }
  }

  const proveFiles = async (written, deleted) => {
    const asked = Date.now()
    const times = new Map(written.map((path) => [path, changedAt(path) ?? asked]))
    const wanted = [...written, ...deleted]
    // When a file was deleted nobody knows: what was heard just before may be of it.
    const oldest = Math.min(asked - NAMED_MS, ...times.values())
    const named = (path) => naming(path, times.get(path) ?? oldest)
    const publicFile = wanted.some((path) => path.startsWith(`${root}/public/`))
    const all = !publicFile && (await until(() => wanted.every(named), wanted.length === 0 ? 0 : NAMED_MS))
    if (!all || wanted.length === 0) {
      const missing = wanted.filter((path) => !named(path)).map((path) => relative(root, path))
      const page =
        publicFile && statSync(join(root, 'index.html'), { throwIfNoEntry: false }) ? 'index.html' : CANARY
      if (!canary) {
        return {
          type: 'unproven',
          reason: `Vite told nothing of ${missing.join(', ')}, and nothing may be written in ${root} to ask it`,
        }
      }
      if (!(await askPage(page)))
        return { type: 'unproven', reason: `Vite told nothing of ${missing.join(', ')}` }
    }
    for (const path of written) {
      const error = await serves(named(path), path)
      if (error !== null) return { type: 'failed', error }
    }
    const error = errorSince(oldest)
    if (error !== undefined) return { type: 'failed', error: placeOf(error.err) }
    const messages = since(oldest).filter(({ path }) => path !== `/${CANARY}`)
    const what = messages.some(({ type }) => type === 'full-reload') ? 'page reload' : 'update'
    return messages.length === 0
      ? { type: 'taken', what: 'nothing', detail: 'no open page uses it' }
      : { type: 'taken', what, detail: all ? 'Vite named it' : 'Vite has handled it' }
  }

  return {
    hear,
    restarted,
    findRoot,
    clean,
    about: () => ({ root, canary }),
    async prove({ written = [], deleted = [] }) {
      busy += 1
      const before = restarts
      try {
        const starts = [...written, ...deleted].find(
          (path) => path.startsWith(`${root}/`) && (CONFIG.test(path) || ENVIRONMENT.test(path)),
        )
        return await (starts === undefined ? proveFiles(written, deleted) : proveRestart(starts, before))
      } finally {
        await sleep(0)
        busy -= 1
      }
    },
  }
}

function bare(url) {
  return url.replace(/[?#].*$/, '')
}

/** When the file was put there, by the clock that Vite's own times are of; kept to whole ticks of the kernel. */
function changedAt(path) {
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? null : Math.floor(found.ctimeMs)
}

function writeIfGone(path) {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    writeFileSync(
      path,
      '<!doctype html><title>devstack asks Vite with this file whether it watches</title>\n',
    )
  }
}
