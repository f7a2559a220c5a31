import stringWidth from 'string-width'

/** Aligned columns, two spaces apart; a column that is empty in every row is left out. */
export function formatTable(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const used = heads.map((_, column) => rows.some((row) => (row[column] ?? '') !== ''))
  const lines = [heads, ...rows].map((row) => row.filter((_, column) => used[column] === true))
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((line) => stringWidth(line[column] ?? ''))),
  )
  return lines.map((line) =>
    line
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - stringWidth(cell)))
      .join('  ')
      .trimEnd(),
  )
}
