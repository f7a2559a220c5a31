import type { TimelineBar } from '../../core/select.js'

/** A service's time on the axis of the whole `up`, at least one cell; `<` marks the critical path. */
export function timelineBar(bar: TimelineBar, totalMs: number, width: number): string {
  const room = Math.max(1, width - 2)
  const scale = totalMs <= 0 ? 0 : room / totalMs
  const from = Math.min(room - 1, Math.floor(bar.startMs * scale))
  const to = Math.min(room, Math.max(from + 1, Math.round(bar.endMs * scale)))
  return ' '.repeat(from) + '█'.repeat(to - from) + (bar.critical ? ' <' : '')
}

/** How far a build or a pull is. Thinner than a timeline's bar: it is another axis. */
export function progressBar(percent: number, width: number): string {
  const room = Math.max(1, width)
  const done = Math.round((Math.min(100, Math.max(0, percent)) / 100) * room)
  return '━'.repeat(done) + '╌'.repeat(room - done)
}
