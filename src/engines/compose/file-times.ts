/** The modification times that delivered files of one container get. */
export interface FileTimes {
  /** @param sourceMs the source's own; null: there is none */
  of(target: string, sourceMs: number | null): number
}

/**
 * The source's own time where it is newer than what the container has, else the present one. Two deliveries of one file never
 * have the same whole second, though the second then lies a moment ahead: Python takes its compiled code for good when size
 * and whole seconds are those of the source, and reloaders that compare times want a newer one.
 */
export function createFileTimes(now: () => number): FileTimes {
  // What was there before was written before.
  const begin = now()
  const last = new Map<string, number>()
  return {
    of(target, sourceMs) {
      const before = last.get(target) ?? begin
      let time = sourceMs !== null && sourceMs > before && sourceMs <= now() ? sourceMs : now()
      if (last.has(target) && second(time) <= second(before))
        time = (second(before) + 1) * 1000 + (time % 1000)
      last.set(target, time)
      return time
    },
  }
}

function second(ms: number): number {
  return Math.floor(ms / 1000)
}
