/** What Vite told its pages, with the time at which it was heard. */
import { relative } from 'node:path'

const KEPT = 500

export class Heard {
  /** Vite's root in the container. */
  root = process.cwd()
  /** When the server was back after it had gone, each time. */
  restarts = []
  #messages = []
  #listeners = new Set()

  /** @param {string} text one message as it came; null where it tells nothing of a file */
  hear(text) {
    const message = JSON.parse(text)
    if (!['update', 'full-reload', 'prune', 'error'].includes(message.type)) return null
    this.#messages = [...this.#messages.slice(1 - KEPT), { at: Date.now(), message }]
    this.#tell()
    return message
  }

  restarted() {
    this.restarts = [...this.restarts.slice(-9), Date.now()]
    this.#tell()
  }

  /** True as soon as `check` is, asked again whenever something was heard; what it is at the end otherwise. */
  until(check, ms) {
    if (check()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const look = () => check() && end(true)
      const end = (result) => {
        this.#listeners.delete(look)
        clearTimeout(timer)
        resolve(result)
      }
      const timer = setTimeout(() => end(check()), ms)
      this.#listeners.add(look)
    })
  }

  since(ms) {
    return this.#messages.filter(({ at }) => at >= ms).map(({ message }) => message)
  }

  /** Errors that are mended: they may have been heard only after the file was saved again. */
  forgetErrors(mended) {
    this.#messages = this.#messages.filter(({ message }) => message.type !== 'error' || !mended(message.err))
  }

  errorSince(ms) {
    return this.since(ms).find(({ type }) => type === 'error')?.err
  }

  updatesSince(ms) {
    return this.since(ms).filter(({ type }) => type === 'update')
  }

  /** The message that names the file and was made after it was written. */
  naming(path, written) {
    const url = this.urlOf(path)
    return this.since(written).find((message) => {
      switch (message.type) {
        case 'update':
          return message.updates.some(
            ({ timestamp, ...update }) =>
              timestamp >= written && (bare(update.path) === url || bare(update.acceptedPath) === url),
          )
        case 'full-reload':
          return message.triggeredBy === path || message.path === url
        case 'prune':
          return message.paths.some((name) => bare(name) === url)
        default:
          return false
      }
    })
  }

  urlOf(path) {
    return path.startsWith(`${this.root}/`) ? `/${relative(this.root, path)}` : `/@fs${path}`
  }

  #tell() {
    for (const listener of this.#listeners) listener()
  }
}

function bare(url) {
  return url.replace(/[?#].*$/, '')
}
