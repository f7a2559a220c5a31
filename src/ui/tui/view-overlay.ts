import { cells, cut, wrap } from '../../core/text.js'
import { helpGroups } from './keymap.js'
import type { KeyContext } from './keymap.js'
import type { Size } from './layout.js'
import type { PaneLine } from './view-pane.js'
import type { ViewInput } from './view.js'

/** Covers table and pane. */
export interface OverlayView {
  readonly title: string
  readonly lines: readonly PaneLine[]
  readonly height: number
}

/** What covers table and pane now, or null. */
export function overlayView(input: ViewInput, keys: KeyContext, height: number): OverlayView | null {
  const { ui, state, size } = input
  if (ui.overlay === null || height <= 0) return null
  const line = (text: string, tone: PaneLine['tone']): PaneLine => ({
    time: '',
    text: cut(text, size.columns),
    tone,
  })
  if (ui.overlay === 'warnings') {
    const lines = state.warnings.flatMap(({ message, hint }) => [
      ...wrap(` ! ${message}`, size.columns).map((part) => line(part, 'warn')),
      ...(hint === null ? [] : wrap(`   try: ${hint}`, size.columns).map((part) => line(part, 'plain'))),
    ])
    return { title: 'warnings', lines: lines.slice(0, height - 1), height }
  }
  if (ui.overlay === 'approvals') {
    const lines = state.approvals.flatMap(({ id, text, detail }) => [
      ...wrap(` ${text}`, size.columns).map((part) => line(part, 'warn')),
      ...detail.flatMap((one) => wrap(`   ${one}`, size.columns).map((part) => line(part, 'plain'))),
      line(`   y, or: devstack approve ${id}`, 'quiet'),
    ])
    const none = line(' nothing waits for you', 'quiet')
    return {
      title: 'waits for you',
      lines: (lines.length === 0 ? [none] : lines).slice(0, height - 1),
      height,
    }
  }
  return { title: 'keys', lines: helpLines(input.size, keys, height - 1), height }
}

/** In two columns where the terminal is wide and the groups do not fit below each other. */
function helpLines(size: Size, keys: KeyContext, height: number): readonly PaneLine[] {
  const blocks = helpGroups(keys).map((group) => [
    { text: ` ${group.title}`, tone: 'warn' as const },
    ...group.lines.map((line) => ({
      text: `   ${line.keys.padEnd(10)} ${line.help}`,
      tone: 'plain' as const,
    })),
  ])
  const [first = [], ...others] = blocks
  const rest = others.flat()
  const total = first.length + rest.length
  const width = Math.floor(size.columns / 2)
  const sideBySide = total > height && width >= 40
  const empty = { text: '', tone: 'plain' as const }
  const lines = sideBySide
    ? Array.from({ length: Math.max(first.length, rest.length) }, (_, index) => {
        const [left, right] = [first[index] ?? empty, rest[index] ?? empty]
        const gap = ' '.repeat(Math.max(1, width - cells(cut(left.text, width - 1))))
        return {
          text: `${cut(left.text, width - 1)}${gap}${right.text}`,
          tone: left.tone === 'warn' ? left.tone : 'plain',
        }
      })
    : [...first, ...rest]
  return lines.slice(0, height).map(({ text, tone }): PaneLine => ({
    time: '',
    text: cut(text, size.columns),
    tone: tone === 'warn' ? 'warn' : 'plain',
  }))
}
