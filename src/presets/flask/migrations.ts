/** Flask-Migrate's folder, and Alembic's own. */
const VERSION = /(?:^|\/)(migrations|alembic)\/versions\/(?:[^/]+\/)*[^/]+\.py$/

/** A migration among delivered files, to be offered and never run unasked. */
export function offerMigration(
  files: readonly string[],
): { readonly text: string; readonly argv: readonly string[] } | null {
  const found = files.flatMap((file) => {
    const match = VERSION.exec(file)
    return match === null || file.includes('/__pycache__/') ? [] : [{ file, tool: match[1] }]
  })
  const [first] = found
  if (first === undefined) return null
  const name = first.file.slice(first.file.lastIndexOf(`${first.tool ?? ''}/versions/`))
  const others = found.length === 1 ? '' : ` and ${String(found.length - 1)} more`
  return {
    text: `a migration changed: ${name}${others}`,
    argv: first.tool === 'alembic' ? ['alembic', 'upgrade', 'head'] : ['flask', 'db', 'upgrade'],
  }
}
