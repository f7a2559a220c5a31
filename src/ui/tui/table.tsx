import { Box } from 'ink'
import { memo } from 'react'
import { Line } from './line.js'
import type { RowView, TableView } from './view-table.js'

const Row = memo(function Row({ row, color }: { readonly row: RowView; readonly color: boolean }) {
  const marker = row.selected ? '›' : ' '
  return (
    <Line
      color={color}
      spans={[
        { text: marker, tone: 'accent', bold: row.active, dim: !row.active },
        { text: row.number, dim: true },
        { text: row.number === '' ? '' : ' ' },
        { text: row.glyph, tone: row.tone },
        { text: ` ${row.name} `, bold: row.selected },
        { text: row.state, tone: row.tone },
        { text: row.fresh === '' ? '' : ` ${row.fresh}`, tone: row.freshTone },
        { text: row.address === '' ? '' : ` ${row.address}` },
        { text: row.time === '' ? '' : ` ${row.time}`, dim: true },
        { text: row.bar === '' ? '' : ` ${row.bar}`, tone: row.barTone },
      ]}
    />
  )
})

/** The services, a row each. */
export const Table = memo(function Table({
  view,
  color,
}: {
  readonly view: TableView
  readonly color: boolean
}) {
  return (
    <Box flexDirection="column" flexShrink={0}>
      {view.head === null ? null : <Line color={color} spans={[{ text: view.head, dim: true }]} />}
      <Box flexDirection="column" height={view.height} flexShrink={0} overflow="hidden">
        {view.rows.map((row) => (
          <Row key={row.name} row={row} color={color} />
        ))}
      </Box>
    </Box>
  )
})
