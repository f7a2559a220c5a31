import { memo } from 'react'
import { Line } from './line.js'
import type { HeaderView } from './view.js'
import type { ApprovalView, StatusView } from './view-status.js'

/** ` devstack  shop  compose  http://127.0.0.1:8080      up 12 m`. */
export const Header = memo(function Header({
  view,
  color,
}: {
  readonly view: HeaderView
  readonly color: boolean
}) {
  return (
    <Line
      color={color}
      spans={[
        { text: ' devstack', dim: true },
        { text: view.project, bold: true },
        { text: view.engine, dim: true },
        { text: view.url, tone: 'accent', bold: true },
        { text: ' '.repeat(view.gap) },
        { text: view.right },
      ]}
    />
  )
})

/** What the stack does now, in one line. */
export const Status = memo(function Status({
  view,
  color,
}: {
  readonly view: StatusView
  readonly color: boolean
}) {
  return <Line color={color} spans={[{ text: view.text, tone: view.tone, bold: view.tone === 'bad' }]} />
})

/** What waits for a person. */
export const Approvals = memo(function Approvals({
  view,
  color,
}: {
  readonly view: ApprovalView
  readonly color: boolean
}) {
  return (
    <Line
      color={color}
      spans={[
        { text: view.text, tone: 'warn' },
        { text: view.keys, tone: 'accent', bold: true },
      ]}
    />
  )
})
