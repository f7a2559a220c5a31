import sliceAnsi from 'slice-ansi'
import stringWidth from 'string-width'
import stripAnsi from 'strip-ansi'

// Joiners, variation selectors, directional marks, skin tones: terminals disagree on their width, and some reorder text.
const TREACHEROUS =
  /\u{61C}|[\u{200B}-\u{200F}]|[\u{202A}-\u{202E}]|[\u{2060}-\u{206F}]|\u{FEFF}|\p{Variation_Selector}|\p{Emoji_Modifier}/gu
// eslint-disable-next-line no-control-regex -- finding them is the point
const CONTROLS = /[\u0000-\u0008\u000A-\u001F\u007F-\u009F\u2028\u2029]+/gu
const PLAIN = /^[\u0020-\u007E]*$/u
/** Cells that one UTF-16 unit takes at least on average, for cutting huge lines before they are measured. */
const UNITS_A_CELL = 8

/** `text` as one line that moves no cursor, changes no colour and is as wide as it is measured. */
export function sanitise(text: string): string {
  if (PLAIN.test(text)) return text
  return stripAnsi(text.toWellFormed())
    .replaceAll('\t', '    ')
    .replace(CONTROLS, ' ')
    .replace(TREACHEROUS, '')
}

/** Terminal cells that `text` takes. */
export function cells(text: string): number {
  return PLAIN.test(text) ? text.length : stringWidth(text)
}

/** The first `width` cells of `text`, sanitised; an ellipsis where something is lost. */
export function cut(text: string, width: number): string {
  if (width <= 0) return ''
  const clean = sanitise(text.slice(0, (width + 1) * UNITS_A_CELL))
  if (cells(clean) <= width && text.length <= (width + 1) * UNITS_A_CELL) return clean
  return `${take(clean, width - 1)}…`
}

/** `text` in lines of at most `width` cells, broken at blanks where there are any; later lines keep its indent. */
export function wrap(text: string, width: number): readonly string[] {
  if (width <= 0) return []
  const clean = sanitise(text)
  const indent = /^ */u.exec(clean)?.[0] ?? ''
  const lines: string[] = []
  let line = ''
  for (const word of clean.trimStart().split(' ')) {
    const longer = line === '' ? indent + word : `${line} ${word}`
    if (line === '' || cells(longer) <= width) {
      line = longer
    } else {
      lines.push(cut(line, width))
      line = indent + word
    }
  }
  return [...lines, cut(line, width)]
}

/** `width` cells of `text` from cell `offset` on, sanitised: a window that is moved sideways over a line. */
export function windowOf(text: string, offset: number, width: number): string {
  if (offset === 0) return cut(text, width)
  const clean = sanitise(text.slice(0, (offset + width + 1) * UNITS_A_CELL))
  return cut(sliceAnsi(clean, offset), width)
}

/** `text` cut or filled with blanks to exactly `width` cells. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const fitted = cut(text, width)
  const blank = ' '.repeat(Math.max(0, width - cells(fitted)))
  return align === 'left' ? fitted + blank : blank + fitted
}

function take(text: string, width: number): string {
  if (width <= 0) return ''
  return PLAIN.test(text) ? text.slice(0, width) : sliceAnsi(text, 0, width)
}

/** `0.9 s`, `9.2 s`, `1 m 05 s`, `2 h 03 m`. */
export function formatDuration(ms: number): string {
  const tenths = Math.round(Math.max(0, ms) / 100)
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${String(Math.floor(seconds / 60))} m ${twoDigits(seconds % 60)} s`
  return formatUptime(ms)
}

/** `6 ms` below a second, else as {@link formatDuration}. */
export function formatShort(ms: number): string {
  return ms < 1000 ? `${String(Math.round(ms))} ms` : formatDuration(ms)
}

/** In minutes, so that it changes once a minute: `under a minute`, `12 m`, `3 h 04 m`, `2 d 03 h`. */
export function formatUptime(ms: number): string {
  const minutes = Math.floor(Math.max(0, ms) / 60_000)
  if (minutes < 1) return 'under a minute'
  if (minutes < 60) return `${String(minutes)} m`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${String(hours)} h ${twoDigits(minutes % 60)} m`
  return `${String(Math.floor(hours / 24))} d ${twoDigits(hours % 24)} h`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** `812 B`, `12.4 MB`; with a total `12.4/80 MB`, both in the total's unit. Decimal, as registries count. */
export function formatBytes(bytes: number, total: number | null = null): string {
  const largest = Math.max(1, total ?? bytes)
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(largest) / 3))
  const unit = UNITS[power] ?? 'B'
  const scale = 1000 ** power
  const amount = power === 0 ? String(Math.round(bytes)) : (bytes / scale).toFixed(1)
  if (total === null) return `${amount} ${unit}`
  return `${amount}/${roughly(total / scale)} ${unit}`
}

function roughly(value: number): string {
  return value < 10 ? value.toFixed(1).replace(/\.0$/u, '') : String(Math.round(value))
}
