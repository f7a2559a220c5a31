/** The candidate closest to a mistyped word, or null where none is close enough to be meant. */
export function closest(word: string, candidates: Iterable<string>): string | null {
  const wanted = word.toLowerCase()
  // One edit in three letters: `helthcheck` is a slip, `foo` for `for` hardly more than a guess.
  let best: { readonly name: string; readonly distance: number } | null = null
  for (const name of candidates) {
    const limit = Math.max(1, Math.floor(Math.max(wanted.length, name.length) / 3))
    if (Math.abs(wanted.length - name.length) > limit) continue
    const distance = editDistance(wanted, name.toLowerCase())
    if (distance <= limit && (best === null || distance < best.distance)) best = { name, distance }
  }
  return best?.name ?? null
}

/** `did you mean "healthcheck"?`, or null. */
export function didYouMean(word: string, candidates: Iterable<string>): string | null {
  const name = closest(word, candidates)
  return name === null ? null : `did you mean "${name}"?`
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `from` into `to`. */
export function editDistance(from: string, to: string): number {
  let before: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let row = 1; row <= from.length; row++) {
    const line = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      let cost = Math.min(
        at(last, column) + 1,
        at(line, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
      )
      const swapped =
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (swapped) cost = Math.min(cost, at(before, column - 2) + 1)
      line.push(cost)
    }
    before = last
    last = line
  }
  return at(last, to.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
