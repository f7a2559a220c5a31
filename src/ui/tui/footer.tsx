import { memo } from 'react'
import { Line } from './line.js'
import type { FooterView } from './view.js'

/** The keys that mean something now, or what the last one did. */
export const Footer = memo(function Footer({
  view,
  color,
}: {
  readonly view: FooterView
  readonly color: boolean
}) {
  if (view.notice !== null)
    return <Line color={color} spans={[{ text: view.notice, tone: view.bad ? 'bad' : 'accent' }]} />
  return (
    <Line
      color={color}
      spans={view.items.flatMap(({ key, label }) => [
        { text: ` ${key}`, bold: true },
        { text: ` ${label} `, dim: true },
      ])}
    />
  )
})
