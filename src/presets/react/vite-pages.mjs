/** Asks Vite by files of its root whether it is past the changes that were made before. */
import { rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A page that nobody opens. When it changes Vite tells those pages to reload that show it: none. It handles changes in
 * their order, so then it has handled every one before.
 */
export const CANARY = '.devstack-proof.html'
const TEXT = '<!doctype html><title>devstack asks Vite with this file whether it watches</title>\n'
const PATIENCE_MS = 3000
/** For a first look at folders of which one is the root. */
const HASTE_MS = 500

export class Pages {
  /** False where nothing may be written in Vite's root. */
  writable = false
  #heard

  /** @param {import('./vite-heard.mjs').Heard} heard */
  constructor(heard) {
    this.#heard = heard
  }

  /**
   * Settles which of the folders is Vite's root, by asking in each.
   * @param {readonly string[]} folders
   * @param {readonly string[]} mounts folders that are the user's own: nothing is written there
   */
  async findRoot(folders, mounts) {
    const own = folders.filter((folder) => !mounts.some((mount) => `${folder}/`.startsWith(`${mount}/`)))
    for (const patience of [HASTE_MS, PATIENCE_MS]) {
      for (const folder of own) {
        this.#heard.root = folder
        this.writable = await this.#askOnce(CANARY, patience).catch(() => false)
        if (this.writable) return
        this.clean()
      }
    }
    this.#heard.root = folders[0] ?? this.#heard.root
  }

  /** Touches a page in the root and waits until Vite tells so. `behind`: how many changes it has to handle before. */
  async ask(name, behind) {
    const patience = PATIENCE_MS + 2 * behind
    return (await this.#askOnce(name, patience)) || (await this.#askOnce(name, patience))
  }

  async #askOnce(name, patience) {
    const path = join(this.#heard.root, name)
    const asked = Date.now()
    if (name === CANARY && !exists(path)) writeFileSync(path, TEXT)
    touch(path)
    return this.#heard.until(() => this.#heard.naming(path, asked) !== undefined, patience)
  }

  clean() {
    try {
      rmSync(join(this.#heard.root, CANARY), { force: true })
    } catch {
      // Not ours to write in.
    }
  }
}

export function exists(path) {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}

/** One event for a watcher, and only one: a file that is written anew makes several. */
export function touch(path) {
  const now = new Date()
  utimesSync(path, now, now)
}

/** When the file was put there, by the clock that Vite's own times are of; kept to whole ticks of the kernel. */
export function changedAt(path) {
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? null : Math.floor(found.ctimeMs)
}
