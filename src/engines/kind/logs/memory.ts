/** What was passed on of late, by its time, so that a log which is read again from some second on gives nothing twice. */
export interface LogMemory {
  add(at: string): void
  /** The earliest time that is remembered: where to go on from; null where nothing was read. */
  earliest(): string | null
  /** Tells of each line of a log that is read again, in its order, whether it was passed on already. */
  again(): (at: string) => boolean
}

/**
 * How many of the last times are remembered. The runtime stamps a line before it writes it, and stdout and stderr are
 * written side by side: a file's times may run backwards by as many lines as were under way.
 */
const REMEMBERED = 1024

export function createLogMemory(): LogMemory {
  const counts = new Map<string, number>()
  const earliest = (): string | null => {
    let found: string | null = null
    for (const at of counts.keys()) if (found === null || compareTimes(at, found) < 0) found = at
    return found
  }
  return {
    earliest,
    add(at) {
      counts.set(at, (counts.get(at) ?? 0) + 1)
      const [oldest] = counts.keys()
      if (counts.size > REMEMBERED && oldest !== undefined) counts.delete(oldest)
    },
    again() {
      const left = new Map(counts)
      const from = earliest()
      return (at) => {
        // The server cuts what it is asked for to whole seconds: what is before the earliest was passed on and forgotten.
        if (from !== null && compareTimes(at, from) < 0) return true
        const count = left.get(at) ?? 0
        if (count > 0) left.set(at, count - 1)
        return count > 0
      }
    },
  }
}

/** Of two times as the kubelet writes them: nearly always of one length and zone. */
export function compareTimes(a: string, b: string): number {
  if (a.length === b.length && a.endsWith('Z') && b.endsWith('Z')) return a < b ? -1 : Number(a > b)
  const [nanosA, nanosB] = [toNanos(a), toNanos(b)]
  return nanosA < nanosB ? -1 : Number(nanosA > nanosB)
}

function toNanos(time: string): bigint {
  const [, fraction = '0'] = /\.(\d+)/.exec(time) ?? []
  return BigInt(Math.floor(Date.parse(time) / 1000)) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
}
