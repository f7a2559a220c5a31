import { Text } from 'ink'
import { serviceRows, summaryText, mainUrl } from '../../core/select.js'
import type { StackState } from '../../core/state.js'
import type { View } from './view.js'

/** What a screen reader is told: sentences that change when something happens, not with the clock. */
export interface SpokenView {
  readonly lines: readonly string[]
}

/** Steps and percents are left out: each change is read aloud. */
export function spokenView(state: StackState, view: View, selected: string | null): SpokenView {
  const url = state.phase === 'ready' ? mainUrl(state) : null
  const services = serviceRows(state, null).map((row) => {
    const said =
      row.tone === 'busy' ? (row.text.head.split(/[ ,]/u, 1)[0] ?? '') : `${row.text.head} ${row.text.detail}`
    return `${row.name}: ${said.trim()}${row.name === selected ? ', selected' : ''}`
  })
  const overlay = view.overlay === null ? [] : view.overlay.lines.map((line) => line.text.trim())
  const keys = (view.footer?.items ?? []).map(({ key, label }) => `${key} ${label}`).join(', ')
  return {
    lines: [
      `devstack ${state.project}: ${summaryText(state)}`,
      ...(url === null ? [] : [`address ${url}`]),
      ...services,
      ...overlay,
      view.footer?.notice?.trim() ?? `keys: ${keys}`,
    ],
  }
}

/** The frame for a screen reader: a line a fact, no rules, no bars, no columns. */
export function Spoken({ view }: { readonly view: SpokenView }) {
  return <Text>{view.lines.join('\n')}</Text>
}
