/** Asks for changed modules as a page would. */
import { ask } from './vite-socket.mjs'

/** More than these are not looked through: the page asks for the rest itself. */
const MOST = 60

/**
 * Follows imports that carry the time of a change, which Vite writes into whatever imports a changed module.
 * @param {import('./vite-find.mjs').Vite} vite
 * @param {readonly string[]} starts URLs without the base
 * @param {number} since imports with an older time are left alone: they belong to an earlier change
 * @returns {Promise<{ readonly urls: ReadonlySet<string>, readonly broken: string | null }>} `urls` without queries
 */
export async function walk(vite, starts, since) {
  const base = vite.base.replace(/\/$/, '')
  const urls = new Set()
  const queue = [...starts]
  for (let url = queue.shift(); url !== undefined && urls.size < MOST; url = queue.shift()) {
    const name = url.replace(/[?#].*$/, '')
    if (urls.has(name)) continue
    urls.add(name)
    const { status, text } = await ask(vite.address, base + url, {
      Accept: '*/*',
      'Sec-Fetch-Dest': 'script',
    })
    if (status >= 400) return { urls, broken: name }
    for (const [, found = '', time] of text.matchAll(/["'](\/[^"'\s]*[?&]t=(\d+)[^"'\s]*)["']/g)) {
      if (Number(time) >= since && found.startsWith(base)) queue.push(found.slice(base.length))
    }
  }
  return { urls, broken: null }
}
