import { Box } from 'ink'
import { memo } from 'react'
import { cells, cut } from '../../core/text.js'
import { Line, Rule } from './line.js'
import type { Span } from './line.js'
import type { OverlayView } from './view-overlay.js'
import type { PaneLine, PaneView } from './view-pane.js'

const TextLine = memo(function TextLine({
  line,
  color,
}: {
  readonly line: PaneLine
  readonly color: boolean
}) {
  return (
    <Line
      color={color}
      spans={[
        { text: line.time, dim: true },
        { text: line.who ?? '', hue: line.hue ?? 0 },
        { text: line.text, tone: line.tone },
      ]}
    />
  )
})

/** Log lines below their title. Only the lines that are seen are here. */
export const Pane = memo(function Pane(props: {
  readonly view: PaneView
  readonly columns: number
  readonly color: boolean
}) {
  const { view, columns, color } = props
  const room = Math.max(0, columns - cells(view.title) - cells(view.right) - 12)
  const about = room < 6 || view.about === '' ? '' : `─ ${cut(view.about, room)} `
  const left: readonly Span[] = [
    { text: '─ ', dim: true },
    { text: `${view.title} `, bold: true, tone: view.active ? 'accent' : 'plain' },
    { text: about, dim: true },
  ]
  return (
    <Box flexDirection="column" flexShrink={0}>
      <Rule columns={columns} color={color} left={left} right={{ text: view.right, tone: view.rightTone }} />
      <Lines lines={view.lines} height={view.height} color={color} />
    </Box>
  )
})

/** What covers table and pane: help, warnings. */
export const Overlay = memo(function Overlay(props: {
  readonly view: OverlayView
  readonly columns: number
  readonly color: boolean
}) {
  const { view, columns, color } = props
  const left: readonly Span[] = [
    { text: '─ ', dim: true },
    { text: `${view.title} `, bold: true, tone: 'accent' },
  ]
  return (
    <Box flexDirection="column" flexShrink={0}>
      <Rule columns={columns} color={color} left={left} right={{ text: 'esc closes', dim: true }} />
      <Lines lines={view.lines} height={view.height - 1} color={color} />
    </Box>
  )
})

function Lines(props: {
  readonly lines: readonly PaneLine[]
  readonly height: number
  readonly color: boolean
}) {
  return (
    <Box flexDirection="column" height={props.height} flexShrink={0} overflow="hidden">
      {props.lines.map((line, index) => (
        <TextLine key={index} line={line} color={props.color} />
      ))}
    </Box>
  )
}
