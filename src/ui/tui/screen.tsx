import { Box } from 'ink'
import { Footer } from './footer.js'
import { Approvals, Header, Status } from './header.js'
import { Rule } from './line.js'
import { Overlay, Pane } from './pane.js'
import { Table } from './table.js'
import type { View } from './view.js'

/** A whole frame: a pure function of the view, never larger than the terminal less its last row. */
export function Screen({ view }: { readonly view: View }) {
  const { size, color, header, status, approval, table, pane, overlay, footer } = view
  const { columns } = size
  if (size.rows < 2 || columns < 1) return null
  return (
    <Box flexDirection="column" width={columns} height={size.rows - 1} overflow="hidden">
      {header === null ? null : <Header view={header} color={color} />}
      {status === null ? null : <Status view={status} color={color} />}
      {approval === null ? null : <Approvals view={approval} color={color} />}
      {view.rules && overlay === null ? <Rule columns={columns} color={color} right={more(view)} /> : null}
      {overlay === null ? null : <Overlay view={overlay} columns={columns} color={color} />}
      {table === null ? null : <Table view={table} color={color} />}
      {pane === null ? null : <Pane view={pane} columns={columns} color={color} />}
      <Box flexGrow={1} />
      {view.rules ? <Rule columns={columns} color={color} /> : null}
      {footer === null ? null : <Footer view={footer} color={color} />}
    </Box>
  )
}

/** How many services are beyond the table's edges. */
function more({ table }: View): { readonly text: string; readonly dim: boolean } {
  const above = table === null || table.above === 0 ? '' : `${String(table.above)} above`
  const below = table === null || table.below === 0 ? '' : `${String(table.below)} below`
  return { text: [above, below].filter((part) => part !== '').join(', '), dim: true }
}
