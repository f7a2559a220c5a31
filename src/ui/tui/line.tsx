import { Text } from 'ink'
import type { ReactNode } from 'react'
import type { Tone } from '../../core/select.js'
import { cells } from '../../core/text.js'
import { prefixStyle } from '../paint.js'

/** A piece of a line with one look. */
export interface Span {
  readonly text: string
  readonly tone?: Tone | 'critical' | 'plain' | 'accent'
  /** The colour of a service's name, by its place in the file. */
  readonly hue?: number
  readonly bold?: boolean
  readonly dim?: boolean
}

/** The terminal's own colours only: they keep their contrast in light and dark themes. */
const COLORS: Readonly<Record<NonNullable<Span['tone']>, string | undefined>> = {
  good: 'green',
  busy: 'yellow',
  warn: 'yellow',
  bad: 'red',
  critical: 'magenta',
  accent: 'cyan',
  quiet: undefined,
  plain: undefined,
}

function tintOf({ hue, tone }: Span): string | undefined {
  return hue === undefined ? COLORS[tone ?? 'plain'] : prefixStyle(hue)
}

/** One row. Its text is cut to the terminal before; Ink's own cutting is only the last guard. */
export function Line({
  spans,
  color,
}: {
  readonly spans: readonly Span[]
  readonly color: boolean
}): ReactNode {
  const shown = spans.filter((span) => span.text !== '')
  if (shown.length === 0) return <Text> </Text>
  return (
    <Text wrap="truncate-end">
      {shown.map((span, index) => {
        const tint = color ? tintOf(span) : undefined
        const dim = span.dim === true || span.tone === 'quiet'
        return (
          <Text
            key={index}
            bold={span.bold === true}
            dimColor={dim}
            {...(tint === undefined ? {} : { color: tint })}
          >
            {span.text}
          </Text>
        )
      })}
    </Text>
  )
}

/** A rule across the terminal, with a title in it where there is one: `─ api ─ logs ──── following ─`. */
export function Rule(props: {
  readonly columns: number
  readonly color: boolean
  readonly left?: readonly Span[]
  readonly right?: Span
}): ReactNode {
  const left = props.left ?? []
  const right = props.right?.text ?? ''
  const used = left.reduce((sum, span) => sum + cells(span.text), 0)
  const end = right === '' ? '' : ` ${right} ─`
  const fill = Math.max(0, props.columns - used - end.length)
  const spans: readonly Span[] = [
    ...left,
    { text: '─'.repeat(fill), dim: true },
    ...(right === ''
      ? []
      : [
          { ...props.right, text: ` ${right} ` },
          { text: '─', dim: true },
        ]),
  ]
  return <Line spans={spans} color={props.color} />
}
