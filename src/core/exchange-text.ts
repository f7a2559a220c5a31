import type { DiffLine, Difference, PlannedRequest } from './exchange.js'
import { ratioOf, type Compared, type CompareSummary, type SideResult } from './exchange-report.js'
import type { Tone } from './select.js'
import { cells, cut, formatDuration, pad, sanitise } from './text.js'

/** A line for people, and whether it is what they look for. */
export interface ExchangeLine {
  readonly text: string
  readonly tone: Tone | 'plain'
}

/** How the lines of one comparison are laid out. */
export interface ExchangeLayout {
  readonly width: number
  readonly left: string
  readonly right: string
  /** Of the longest method. */
  readonly methodWidth: number
  /** Every difference in full. */
  readonly whole: boolean
}

const STATUS = 7
const TIME = 9
const RATIO = 6
const MOST_DIFFERENCES = 6
const MOST_LINES = 8
/** What is shown at least of what stands before a change. */
const LEAD = 12

export function layoutOf(
  requests: readonly PlannedRequest[],
  sides: Pick<ExchangeLayout, 'left' | 'right'>,
  width: number,
  whole: boolean,
): ExchangeLayout {
  return { ...sides, width, whole, methodWidth: Math.max(...requests.map(({ method }) => method.length)) }
}

/** The names of the columns. */
export function headLine(layout: ExchangeLayout): ExchangeLine {
  const { left, right } = layout
  const times = [left, right].map((name) => pad(cut(name, TIME), TIME, 'right')).join(' ')
  return { text: `${pad('  REQUEST', targetEnd(layout))} ${pad('STATUS', STATUS)} ${times}`, tone: 'quiet' }
}

/** One request in one line, its differences indented below. */
export function comparedLines(compared: Compared, layout: ExchangeLayout): readonly ExchangeLine[] {
  const { request, result, held } = compared
  const name = `${request.method.padEnd(layout.methodWidth)} ${request.target}`
  if (result === null) {
    const tone = held?.wanted === false ? 'warn' : 'quiet'
    const reason = `not sent: ${held?.reason ?? ''}`
    const whole = `– ${name}  ${reason}`
    if (cells(whole) <= layout.width) return [{ text: whole, tone }]
    return [
      { text: `– ${cut(name, layout.width - 2)}`, tone },
      { text: cut(`    ${reason}`, layout.width), tone },
    ]
  }
  const { left, right, differences } = result
  const ratio = ratioOf(compared)
  const same = differences.length === 0
  const parts = [
    `${same ? '✓' : '✗'} ${fitTarget(name, layout)}`,
    pad(statusText(left, right), STATUS),
    timeText(left),
    timeText(right),
    pad(ratio === null ? '' : ratioText(ratio), RATIO, 'right'),
  ]
  const line: ExchangeLine = { text: parts.join(' ').trimEnd(), tone: same ? 'good' : 'bad' }
  // The status stands in the line itself.
  const below = differences.filter(({ part }) => part !== 'status')
  const shown = layout.whole ? below : below.slice(0, MOST_DIFFERENCES)
  const labelWidth = Math.max(...shown.map((one) => cells(label(one))), 0)
  const more = below.length - shown.length
  return [
    line,
    ...shown.flatMap((one) => differenceLines(one, labelWidth, layout)),
    ...(more === 0 ? [] : [plain(`    and ${String(more)} more: --verbose shows all`)]),
  ]
}

/** `2 of 12 differ`, and how much longer the right side took. */
export function summaryLine(summary: CompareSummary, { right, width }: ExchangeLayout): ExchangeLine {
  const { requests, same, different, notSent, incomplete, ratio } = summary
  const sent = same + different
  const what =
    different === 0
      ? sent === 1
        ? 'the answers are the same'
        : `all ${String(sent)} answers are the same`
      : `${String(different)} of ${String(sent)} ${different === 1 ? 'differs' : 'differ'}`
  const held = incomplete > 0 ? 'could not be sent' : 'not sent'
  const left = notSent === 0 ? '' : `, ${String(notSent)} of ${String(requests)} ${held}`
  const time = ratio === null ? '' : `; ${right} takes ${ratioText(ratio)} (median)`
  if (sent === 0) return { text: `nothing was compared: no request was sent`, tone: 'bad' }
  const whole = `${what}${left}${time}`
  const text = cells(whole) > width ? `${what}${left}` : whole
  return { text, tone: different > 0 ? 'bad' : incomplete > 0 ? 'warn' : 'good' }
}

function targetEnd({ width }: ExchangeLayout): number {
  return Math.max(20, width - STATUS - 2 * TIME - RATIO - 4)
}

function fitTarget(name: string, layout: ExchangeLayout): string {
  return pad(name, targetEnd(layout) - 2)
}

function statusText(left: SideResult, right: SideResult): string {
  const [one, other] = [left, right].map(({ outcome }) =>
    'answer' in outcome ? String(outcome.answer.status) : '–',
  )
  return one === other ? (one ?? '') : `${one ?? ''}|${other ?? ''}`
}

function timeText({ outcome, ms }: SideResult): string {
  return pad('answer' in outcome ? msText(ms) : '–', TIME, 'right')
}

/** `4.1 ms`, `31 ms`, `1.2 s`. */
export function msText(ms: number): string {
  if (ms >= 1000) return formatDuration(ms)
  return ms < 9.95 ? `${ms.toFixed(1)} ms` : `${String(Math.round(ms))} ms`
}

function ratioText(ratio: number): string {
  return ratio < 9.95 ? `x${ratio.toFixed(1)}` : `x${String(Math.round(ratio))}`
}

function label({ part, path }: Difference): string {
  if (part === 'header') return `header ${path ?? ''}`
  return path ?? part
}

function differenceLines(
  difference: Difference,
  labelWidth: number,
  layout: ExchangeLayout,
): readonly ExchangeLine[] {
  const { width, left, right } = layout
  const mark = difference.unsteady ? '  (also from one answer to the next)' : ''
  if (difference.lines.length > 0) return textLines(difference, mark, layout)
  const [one, other] = [difference.left, difference.right].map((value) => sanitise(value ?? 'missing'))
  const name = pad(label(difference), Math.min(labelWidth, Math.floor(width / 3)))
  const short = `    ${name}  ${left} ${one ?? ''}  ${right} ${other ?? ''}${mark}`
  if (cells(short) <= width) return [plain(short)]
  const sideWidth = Math.max(cells(left), cells(right))
  const room = layout.whole ? Infinity : width - sideWidth - 8
  const [from, to] = room === Infinity ? [one ?? '', other ?? ''] : nearChange(one ?? '', other ?? '', room)
  return [
    plain(cut(`    ${label(difference)}${mark}`, width)),
    plain(`      ${pad(left, sideWidth)}  ${from}`),
    plain(`      ${pad(right, sideWidth)}  ${to}`),
  ]
}

/** A unified diff without its head: `- ` is left, `+ ` right. */
function textLines(difference: Difference, mark: string, layout: ExchangeLayout): readonly ExchangeLine[] {
  const { width, left, right, whole } = layout
  const shown = whole ? difference.lines : difference.lines.slice(0, MOST_LINES)
  const first = difference.lines.find(({ sign }) => sign !== ' ')?.number ?? 1
  const more = difference.lines.length - shown.length
  return [
    plain(`    body, line ${String(first)}: - ${left}, + ${right}${mark}`),
    ...fitPairs(shown, whole ? Infinity : width - 8).map((line): ExchangeLine => ({
      text: `      ${line.sign} ${line.text}`,
      tone: line.sign === ' ' ? 'quiet' : 'plain',
    })),
    ...(more === 0 ? [] : [plain(`      ${String(more)} more lines: --verbose shows all`)]),
  ]
}

/** Long lines that stand for each other are shown where they part. */
function fitPairs(lines: readonly DiffLine[], room: number): readonly DiffLine[] {
  return lines.map((line, index) => {
    if (room === Infinity) return { ...line, text: sanitise(line.text) }
    const other = line.sign === '-' ? partner(lines, index, '+', 1) : partner(lines, index, '-', -1)
    const [text] =
      other === null || line.sign === ' ' ? [cut(line.text, room)] : nearChange(line.text, other, room)
    return { ...line, text }
  })
}

/** The line of the other side that has the same place in a run of as many removed as added lines. */
function partner(lines: readonly DiffLine[], index: number, sign: '-' | '+', step: 1 | -1): string | null {
  let start = index
  while (lines[start - 1]?.sign === lines[index]?.sign) start -= 1
  let end = index
  while (lines[end + 1]?.sign === lines[index]?.sign) end += 1
  const length = end - start + 1
  const other = lines[index + step * length]
  return other?.sign === sign ? other.text : null
}

/** Both texts in `room` cells: the first place where they part, and as much as fits of what stands before and after it. */
function nearChange(one: string, other: string, room: number): readonly [string, string] {
  const longest = Math.max(cells(one), cells(other))
  if (longest <= room) return [sanitise(one), sanitise(other)]
  let same = 0
  while (same < one.length && one[same] === other[same]) same += 1
  const start = Math.max(0, Math.min(same - LEAD, longest - room + 1))
  const window = (text: string): string => cut((start === 0 ? '' : '…') + text.slice(start), room)
  return [window(one), window(other)]
}

function plain(text: string): ExchangeLine {
  return { text, tone: 'plain' }
}
