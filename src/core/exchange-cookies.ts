/** Cookies that one stack has set, sent back to it: those of a session, carried as a browser would. */
export interface CookieJar {
  /** Takes the values of `Set-Cookie` headers of an answer to a request for `target`. `now`: milliseconds since the epoch. */
  readonly store: (setCookies: readonly string[], target: string, now: number) => void
  /** The `Cookie` header for `target`: what `own` says, where the stack has not set that cookie itself; null for none. */
  readonly header: (own: string | null, target: string, now: number) => string | null
}

interface Cookie {
  readonly name: string
  readonly value: string
  readonly path: string
  /** Milliseconds since the epoch; null: with the session. */
  readonly expires: number | null
}

/** An empty jar of one host: every cookie in it is that host's own. */
export function createCookieJar(): CookieJar {
  const cookies = new Map<string, Cookie>()
  // What a stack has taken back is not sent from the recording either.
  const known = new Set<string>()
  return {
    store(setCookies, target, now) {
      for (const text of setCookies) {
        const cookie = parseCookie(text, target, now)
        if (cookie === null) continue
        known.add(cookie.name)
        cookies.set(`${cookie.path} ${cookie.name}`, cookie)
      }
    },
    header(own, target, now) {
      const path = pathOf(target)
      const mine = [...cookies.values()]
        .filter((cookie) => isUnder(path, cookie.path) && (cookie.expires ?? Infinity) > now)
        .toSorted((one, other) => other.path.length - one.path.length)
        .map(({ name, value }) => `${name}=${value}`)
      const others = cookiePairs(own ?? '').filter(([name]) => !known.has(name))
      const pairs = [...mine, ...others.map(([name, value]) => `${name}=${value}`)]
      return pairs.length === 0 ? null : pairs.join('; ')
    },
  }
}

/** Names and values of a `Cookie` header. */
export function cookiePairs(header: string): readonly (readonly [name: string, value: string])[] {
  return header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
    .map((pair) => {
      const end = pair.indexOf('=')
      return end < 0 ? ['', pair] : [pair.slice(0, end).trim(), pair.slice(end + 1).trim()]
    })
}

/** The name that a `Set-Cookie` value sets. */
export function cookieName(setCookie: string): string {
  return (setCookie.split(/[=;]/, 1)[0] ?? '').trim()
}

function parseCookie(text: string, target: string, now: number): Cookie | null {
  const [pair = '', ...attributes] = text.split(';')
  const end = pair.indexOf('=')
  if (end < 1) return null
  const found = new Map(
    attributes.map((attribute) => {
      const [key = '', ...value] = attribute.split('=')
      return [key.trim().toLowerCase(), value.join('=').trim()] as const
    }),
  )
  const path = found.get('path') ?? ''
  return {
    name: pair.slice(0, end).trim(),
    value: pair.slice(end + 1).trim(),
    path: path.startsWith('/') ? path : defaultPath(target),
    expires: expiryOf(found, now),
  }
}

/** `Max-Age` wins over `Expires`. */
function expiryOf(attributes: ReadonlyMap<string, string>, now: number): number | null {
  const age = attributes.get('max-age') ?? ''
  if (/^-?\d+$/.test(age)) return now + Number(age) * 1000
  const expires = Date.parse(attributes.get('expires') ?? '')
  return Number.isNaN(expires) ? null : expires
}

function pathOf(target: string): string {
  return target.split('?', 1)[0] ?? '/'
}

/** The folder of what was asked for. */
function defaultPath(target: string): string {
  const path = pathOf(target)
  return path.slice(0, Math.max(1, path.lastIndexOf('/')))
}

function isUnder(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}
