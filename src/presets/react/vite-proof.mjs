/** Decides whether Vite took files up, by what it tells its pages. */
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkConfig } from './vite-config.mjs'
import { placeOf } from './vite-error.mjs'
import { Heard } from './vite-heard.mjs'
import { configOf, importsOf } from './vite-imports.mjs'
import { CANARY, Pages, changedAt, exists, touch } from './vite-pages.mjs'
import { walk } from './vite-walk.mjs'

/** For a message that names a file; then the canary is asked. */
const NAMED_MS = 100
/** Vite's watcher drops a change that follows another of the same file so soon. */
const DROPPED_MS = 2000
/** As long it may look at a folder only once. */
const FOLDER_MS = 1100
const RESTART_MS = 20_000
/** No start of Vite is over in less. */
const START_MS = 20
/** More files than these are not looked for one by one. */
const MOST_NAMED = 20
/** The kernel keeps some 16,000 events for a watcher that is busy, several a file; it drops the rest and nobody is told. */
const MOST_TRUSTED = 3000
const CONFIG = /\/vite\.config\.[cm]?[jt]s$/
/** Wherever it is: a configuration may name any folder. */
const POSTCSS = /\/(postcss\.config\.[cm]?[jt]s|\.postcssrc(\.\w+)?)$/
const ENVIRONMENT = /\/\.env(\.local|\.development|\.development\.local)?$/

export class Proof {
  #heard = new Heard()
  #pages = new Pages(this.#heard)
  #vite
  #told
  #busy = 0
  #last = 0
  /** When each file was last looked at here, and those that Vite was seen to serve. */
  #looked = new Map()
  #served = new Set()

  /**
   * @param {import('./vite-find.mjs').Vite} vite
   * @param {(error: object) => void} told what an open page met
   */
  constructor(vite, told) {
    this.#vite = vite
    this.#told = told
  }

  hear(text) {
    const message = this.#heard.hear(text)
    if (message?.type === 'error' && this.#busy === 0) this.#told(placeOf(message.err))
  }

  restarted(vite) {
    this.#vite = vite
    this.#served.clear()
    this.#heard.restarted()
  }

  findRoot(folders, mounts) {
    return this.#pages.findRoot(folders, mounts)
  }

  about() {
    return { root: this.#heard.root, canary: this.#pages.writable }
  }

  clean() {
    this.#pages.clean()
  }

  async prove({ written = [], deleted = [] }) {
    this.#busy += 1
    try {
      const paths = [...written, ...deleted]
      const again = this.#lookAt(paths)
      const started = await this.#proveStart(paths)
      if (started !== null) return started
      if (paths.length > MOST_TRUSTED) {
        return {
          type: 'restart',
          reason: `${paths.length} files at once are more than a watcher is sure to see`,
        }
      }
      if (paths.length > MOST_NAMED) return await this.#proveMany(paths, again)
      return await this.#proveFiles(written, deleted, again)
    } finally {
      this.#last = Date.now()
      this.#busy -= 1
    }
  }

  #isInRoot(path) {
    return path.startsWith(`${this.#heard.root}/`)
  }

  /** The configuration may lie above the root; the environment lies in it. */
  #isReadAtStart(path) {
    const { root } = this.#heard
    const above = `${root}/`.startsWith(`${dirname(path)}/`) || dirname(path) === '/'
    return (CONFIG.test(path) && above) || (ENVIRONMENT.test(path) && dirname(path) === root)
  }

  /** Null where none of the files is read by a start of Vite alone. */
  async #proveStart(paths) {
    const { root } = this.#heard
    const styles = paths.find((path) => POSTCSS.test(path))
    if (styles !== undefined) {
      const name = relative(root, styles)
      return { type: 'restart', reason: `${name} changed, and Vite reads it only when it starts` }
    }
    const own = paths.find((path) => this.#isReadAtStart(path))
    if (own !== undefined && ENVIRONMENT.test(own)) return this.#proveRestart(own)
    const config = own ?? configOf(root)
    const imports = own === undefined && config !== null ? importsOf(config) : new Set()
    const likely = own === undefined ? paths.filter((path) => imports.has(path)) : [own]
    if (likely.length === 0) return null
    const { error, files } = await checkConfig(root, config)
    if (error !== null) return { type: 'failed', error }
    // What it imports for its types alone, Vite does not look at.
    const path = own ?? likely.find((path) => files === null || files.includes(path))
    return path === undefined ? null : this.#proveRestart(path)
  }

  async #proveRestart(path) {
    const { root } = this.#heard
    const written = changedAt(path) ?? Date.now()
    const startedAfter = (ms) => this.#heard.restarts.some((at) => at >= ms)
    // A start that was under way may have read the file before it was written, and Vite begins no other one meanwhile.
    const underWay = written <= this.#last
    const from = underWay && this.#pages.writable ? Date.now() : written
    if (from !== written && exists(path)) touch(path)
    const enough = () => startedAfter(from + START_MS)
    if (!(await this.#heard.until(enough, RESTART_MS / 10)) && this.#pages.writable && startedAfter(from)) {
      if (exists(path)) touch(path)
    }
    return (await this.#heard.until(enough, RESTART_MS))
      ? { type: 'taken', what: 'restart', detail: `Vite restarted for ${relative(root, path)}` }
      : { type: 'restart', reason: `Vite did not restart by itself for ${relative(root, path)}` }
  }

  async #proveMany(paths, again) {
    const began = Date.now()
    for (const path of again.filter((path) => exists(path))) this.#touch(path)
    return this.#handled(await this.#askPast(paths), began, 'Vite has handled them')
  }

  async #proveFiles(written, deleted, again) {
    const asked = Date.now()
    const paths = [...written, ...deleted]
    // When a file was deleted nobody knows: what was heard just before may be of it.
    const before = Math.max(asked - NAMED_MS, this.#last)
    const times = new Map(written.map((path) => [path, changedAt(path) ?? asked]))
    const oldest = Math.min(
      ...(deleted.length > 0 || written.length === 0 ? [before] : []),
      ...times.values(),
    )
    const met = (path) => this.#met(path, times.get(path) ?? before)
    if (!paths.some((path) => this.#isPublic(path))) {
      await this.#heard.until(() => paths.every((path) => met(path).length > 0), NAMED_MS)
    }
    const missing = deleted.filter((path) => this.#heard.naming(path, before) === undefined)
    for (const path of written) {
      const { error, found } = await this.#serves(path, met(path), times.get(path))
      if (error !== null) return { type: 'failed', error }
      if (!found) missing.push(path)
    }
    if (paths.length > 0 && missing.length === 0) return this.#handled(null, oldest, 'Vite named it')
    const quiet = missing.filter((path) => exists(path) && (again.includes(path) || met(path).length === 0))
    return this.#proveMissing(missing, quiet, oldest)
  }

  /** The messages that may be of a file: the one that names it, else all updates. */
  #met(path, since) {
    const named = this.#heard.naming(path, since)
    return named === undefined ? this.#heard.updatesSince(since) : [named]
  }

  /**
   * @param missing files of which nothing was heard: no page uses them, or the watcher missed them
   * @param quiet those of them that are touched, so that it sees them for certain
   */
  async #proveMissing(missing, quiet, oldest) {
    let lost = quiet
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const began = Date.now()
      for (const path of lost) this.#touch(path)
      const refusal = await this.#askPast(missing)
      if (refusal !== null) return { type: 'unproven', reason: refusal }
      for (const path of lost) {
        const { error } = await this.#serves(path, this.#met(path, began), began)
        if (error !== null) return { type: 'failed', error }
      }
      lost = lost.filter((path) => this.#served.has(path) && this.#met(path, began).length === 0)
      if (lost.length === 0) return this.#handled(null, oldest, 'Vite has handled it')
      await sleep(FOLDER_MS)
    }
    return { type: 'restart', reason: `Vite does not watch ${lost.join(', ')} any more` }
  }

  /** Those of the files that were changed a moment ago already: this time it may have gone unseen. */
  #lookAt(paths) {
    const now = Date.now()
    const again = paths.filter((path) => now - (this.#looked.get(path) ?? 0) < DROPPED_MS)
    for (const path of paths) this.#looked.set(path, now)
    return again
  }

  #touch(path) {
    if (this.#pages.writable && this.#isInRoot(path)) touch(path)
  }

  #isPublic(path) {
    return path.startsWith(`${this.#heard.root}/public/`)
  }

  /** Null once Vite has shown that it is past these changes, else why that is not known. Files in `public` are in no module: the page reloads for them. */
  async #askPast(paths) {
    const { root } = this.#heard
    const shown = paths.slice(0, 3).map((path) => relative(root, path))
    const names =
      shown.length === 0 ? 'anything' : `${shown.join(', ')}${paths.length > 3 ? ' and others' : ''}`
    if (!this.#pages.writable) {
      return `Vite told nothing of ${names}, and nothing may be written in ${root} to ask it`
    }
    const reloads = paths.some((path) => this.#isPublic(path)) && exists(join(root, 'index.html'))
    const answered = await this.#pages.ask(reloads ? 'index.html' : CANARY, paths.length)
    return answered ? null : `Vite told nothing of ${names}`
  }

  /**
   * Asks for what a page is about to ask for: the modules that were named, and below them those that carry the time of
   * the change. Each is made now, so an error in one is known at once. `found`: the file was named or is among them.
   */
  async #serves(path, messages, since) {
    const from = Date.now()
    const url = this.#heard.urlOf(path)
    const { urls, broken } = await walk(this.#vite, startsOf(messages, path, url), since)
    const found = urls.has(url) || this.#heard.naming(path, since) !== undefined
    if (found) this.#served.add(path)
    if (broken === null) {
      if (urls.has(url)) this.#heard.forgetErrors((error) => placeOf(error).file === path)
      return { error: null, found }
    }
    await this.#heard.until(() => this.#heard.errorSince(from) !== undefined, 500)
    const error = this.#heard.errorSince(from)
    const plain = {
      message: `${broken} is answered with an error`,
      file: path,
      line: null,
      column: null,
      output: [],
    }
    return { error: error === undefined ? plain : placeOf(error), found }
  }

  /** What there is to say once Vite is past the changes that began at `oldest`; `refusal`: why that is not known. */
  #handled(refusal, oldest, detail) {
    if (refusal !== null) return { type: 'unproven', reason: refusal }
    const error = this.#heard.errorSince(oldest)
    if (error !== undefined) return { type: 'failed', error: placeOf(error) }
    const messages = this.#heard.since(oldest).filter(({ path }) => path !== `/${CANARY}`)
    if (messages.length === 0) return { type: 'taken', what: 'nothing', detail: 'no open page uses it' }
    const what = messages.some(({ type }) => type === 'full-reload') ? 'page reload' : 'update'
    return { type: 'taken', what, detail }
  }
}

/** Where a page begins to ask after these messages. */
function startsOf(messages, path, url) {
  return messages.flatMap(({ type, updates = [] }) => {
    if (type === 'full-reload') return /\.[cm]?[jt]sx?$/.test(path) ? [url] : []
    return updates
      .filter((update) => update.type === 'js-update')
      .map(
        ({ acceptedPath, timestamp }) =>
          `${acceptedPath}${acceptedPath.includes('?') ? '&' : '?'}t=${timestamp}`,
      )
  })
}
