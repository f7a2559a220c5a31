import { Text } from 'ink'
import { serviceRows, summaryText, mainUrl } from '../../core/select.js'
import type { FreshText } from '../../core/select-update.js'
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
    const fresh = row.fresh === null || row.fresh.tone === 'busy' ? '' : `, ${freshSaid(row.fresh)}`
    return `${row.name}: ${said.trim()}${fresh}${row.name === selected ? ', selected' : ''}`
  })
  const waits = state.approvals.map(({ text }) => `waits for you: ${text}; y is yes`)
  const overlay = view.overlay === null ? [] : view.overlay.lines.map((line) => line.text.trim())
  const keys = (view.footer?.items ?? []).map(({ key, label }) => `${key} ${label}`).join(', ')
  return {
    lines: [
      `devstack ${state.project}: ${summaryText(state)}`,
      ...(url === null ? [] : [`address ${url}`]),
      ...services,
      ...waits,
      ...overlay,
      view.footer?.notice?.trim() ?? `keys: ${keys}`,
    ],
  }
}

/** Without its time, which is another one at each save. */
function freshSaid({ text }: FreshText): string {
  const head = text.head.split(',', 1)[0] ?? ''
  return `${head} ${text.detail} ${text.tail}`.replaceAll(/ +/gu, ' ').trim()
}

/** The frame for a screen reader: a line a fact, no rules, no bars, no columns. */
export function Spoken({ view }: { readonly view: SpokenView }) {
  return <Text>{view.lines.join('\n')}</Text>
}
