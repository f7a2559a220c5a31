import dockerignore from '@balena/dockerignore'

/** A list of patterns as in .dockerignore: the last one that matches decides, `!` brings back. */
export interface IgnoreList {
  /** `path` is relative to the list's folder, with `/`, never empty. */
  matches(path: string): boolean
  /** Whether something below this folder, which itself matches, may not match because of a later `!` pattern. */
  mayExcept(folder: string): boolean
  /** Whether something below this folder, which itself does not match, may match. */
  mayMatchBelow(folder: string): boolean
}

/** The package is CommonJS without a `default` of its own: its types say otherwise. */
const createFilter = dockerignore as unknown as typeof dockerignore.default

/** The library remembers the answer for every path it was ever asked about. It is made anew after this many. */
const REMEMBERED = 4096

export function createIgnoreList(patterns: readonly string[]): IgnoreList {
  const sound = patterns.map((pattern) => pattern.trim()).filter(isSound)
  if (sound.length === 0) return NOTHING
  const matches = createMatch(sound)
  const lastException = sound.findLastIndex(isException)
  const exceptions = sound.filter(isException).map((pattern) => segmentsOf(pattern.slice(1)))
  // What comes after the last exception holds, whatever came before.
  const isFinal = createMatch(sound.slice(lastException + 1))
  const positive = sound.filter((pattern) => !isException(pattern)).map(segmentsOf)
  return {
    matches,
    mayExcept: (folder) => {
      if (lastException === -1 || isFinal(folder)) return false
      const names = folder.split('/')
      return exceptions.some((segments) => mayReach(segments, names))
    },
    mayMatchBelow: (folder) => {
      const names = folder.split('/')
      return positive.some((segments) => mayReach(segments, names))
    },
  }
}

const NOTHING: IgnoreList = { matches: () => false, mayExcept: () => false, mayMatchBelow: () => false }

function createMatch(patterns: readonly string[]): (path: string) => boolean {
  if (patterns.length === 0) return () => false
  const make = () => createFilter({ ignorecase: false }).add([...patterns])
  let filter = make()
  let asked = 0
  return (path) => {
    asked += 1
    if (asked > REMEMBERED) {
      filter = make()
      asked = 0
    }
    return filter.ignores(path)
  }
}

/** Not a comment, and a pattern that the library can compile: Docker refuses the others when it builds. */
function isSound(pattern: string): boolean {
  if (pattern === '' || pattern.startsWith('#') || pattern === '!') return false
  try {
    createFilter({ ignorecase: false }).add([pattern]).ignores('name')
    return true
  } catch {
    return false
  }
}

function isException(pattern: string): boolean {
  return pattern.startsWith('!')
}

function segmentsOf(pattern: string): readonly string[] {
  return pattern.split('/').filter((segment) => segment !== '' && segment !== '.')
}

/** Whether the pattern can match the folder's path, something above it or something below it. */
function mayReach(segments: readonly string[], names: readonly string[]): boolean {
  for (const [index, segment] of segments.entries()) {
    if (segment.includes('**') || segment === '..') return true
    const name = names[index]
    if (name === undefined) return true
    if (!/[*?[\\]/.test(segment) ? segment !== name : !createMatch([segment])(name)) return false
  }
  return true
}
