import type { DiffLine } from './exchange.js'

/** Beyond so many pairs of lines the changed middle is told as replaced whole: comparing them all would take too long. */
const MOST_PAIRS = 4_000_000

/** What differs between two texts, line by line, with `context` equal lines around each change. */
export function diffLines(left: string, right: string, context = 1): readonly DiffLine[] {
  const all = alignLines(left.split('\n'), right.split('\n'))
  const near = (index: number): boolean =>
    all.slice(Math.max(0, index - context), index + context + 1).some(({ sign }) => sign !== ' ')
  return all.filter((line, index) => line.sign !== ' ' || near(index))
}

/** Every line of both texts, in an order that keeps that of each. */
export function alignLines(left: readonly string[], right: readonly string[]): readonly DiffLine[] {
  let head = 0
  while (head < left.length && head < right.length && left[head] === right[head]) head += 1
  let tail = 0
  while (
    tail < Math.min(left.length, right.length) - head &&
    left[left.length - 1 - tail] === right[right.length - 1 - tail]
  )
    tail += 1
  const same = (from: number, to: number): readonly DiffLine[] =>
    left.slice(from, to).map((text, index) => ({ sign: ' ', number: from + index + 1, text }))
  return [
    ...same(0, head),
    ...middle(left.slice(head, left.length - tail), right.slice(head, right.length - tail), head),
    ...same(left.length - tail, left.length),
  ]
}

/** The longest common subsequence, by the table of its lengths. */
function middle(left: readonly string[], right: readonly string[], offset: number): readonly DiffLine[] {
  const only = (sign: '-' | '+', number: number, text: string): DiffLine => ({
    sign,
    number: offset + number + 1,
    text,
  })
  const width = right.length + 1
  if (left.length * right.length > MOST_PAIRS || left.length === 0 || right.length === 0)
    return [
      ...left.map((text, index) => only('-', index, text)),
      ...right.map((text, index) => only('+', index, text)),
    ]
  const lengths = new Uint32Array((left.length + 1) * width)
  const length = (row: number, column: number): number => lengths[row * width + column] ?? 0
  for (let row = left.length - 1; row >= 0; row--)
    for (let column = right.length - 1; column >= 0; column--)
      lengths[row * width + column] =
        left[row] === right[column]
          ? length(row + 1, column + 1) + 1
          : Math.max(length(row + 1, column), length(row, column + 1))
  const lines: DiffLine[] = []
  let row = 0
  let column = 0
  while (row < left.length || column < right.length) {
    const text = left[row] ?? ''
    if (row < left.length && column < right.length && text === right[column]) {
      lines.push({ sign: ' ', number: offset + row + 1, text })
      row += 1
      column += 1
    } else if (
      row < left.length &&
      (column === right.length || length(row + 1, column) >= length(row, column + 1))
    ) {
      lines.push(only('-', row, text))
      row += 1
    } else {
      lines.push(only('+', column, right[column] ?? ''))
      column += 1
    }
  }
  return lines
}
