/** What the agent says on stderr about a program that it was to start; the rest is the program's own. */
export interface StartMark {
  /** Resolves once it is known: null where it was started, else why not. */
  readonly started: Promise<string | null>
  /** Takes the mark out of what comes on stderr. */
  take(chunk: Buffer): Buffer
  /** No more comes: what was held back. Without a mark it is why it was not started. */
  end(): Buffer
}

const NOTHING = Buffer.alloc(0)
/** A mark and a reason are shorter. */
const MOST_HELD = 64 * 1024

/**
 * A program may print before the agent has said that it runs, in the same stream: all is held until the mark is there.
 * @param mark what no program knows
 */
export function createStartMark(mark: string): StartMark {
  const begin = Buffer.from(`\u0001${mark}:`)
  const known = Promise.withResolvers<string | null>()
  let held: Buffer | null = NOTHING
  const release = (): Buffer => {
    const rest = held ?? NOTHING
    held = null
    return rest
  }
  return {
    started: known.promise,
    take(chunk) {
      if (held === null) return chunk
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      const at = held.indexOf(begin)
      const end = at === -1 ? -1 : held.indexOf(0x0a, at)
      if (end === -1) return held.length > MOST_HELD && at === -1 ? release() : NOTHING
      const word = held.toString('utf8', at + begin.length, end)
      const rest = Buffer.concat([held.subarray(0, at), held.subarray(end + 1)])
      held = null
      known.resolve(word === 'started' ? null : word.replace(/^failed:/, ''))
      return rest
    },
    end() {
      const rest = release()
      known.resolve(rest.toString('utf8').trim() || 'the connection broke')
      return rest
    },
  }
}
