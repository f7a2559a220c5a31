import { randomBytes } from 'node:crypto'
import { chmod, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import type { ImageChoice } from '../../core/images.js'

const BEGIN = '# >>> devstack: images built on this machine'
const END = '# <<< devstack'

/**
 * Lets plain `docker compose` find the images that were built here: writes `POSTGRES_IMAGE=devstack/postgres:...` and
 * such into a Compose `.env`, between two marks. All else in the file stays as it is; without a built image our lines go.
 * @returns whether the file changed
 */
export async function writeImageEnv(path: string, choices: readonly ImageChoice[]): Promise<boolean> {
  const before = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  const after = replaceBlock(before ?? '', imageLines(choices))
  if (after === (before ?? '')) return false
  if (after === '') {
    await rm(path, { force: true })
    return true
  }
  await replaceFile(path, after)
  return true
}

function imageLines(choices: readonly ImageChoice[]): readonly string[] {
  const lines = choices.flatMap(({ recipe, ref }) =>
    recipe === null ? [] : [`${recipe.toUpperCase().replaceAll('-', '_')}_IMAGE=${ref}`],
  )
  return [...new Set(lines)].sort()
}

function replaceBlock(text: string, lines: readonly string[]): string {
  const kept = text.replace(new RegExp(`${BEGIN}\n(?:.*\n)*?${END}(?:\n|$)`, 'g'), '')
  if (lines.length === 0) return kept
  const separated = kept === '' || kept.endsWith('\n') ? kept : `${kept}\n`
  return `${separated}${[BEGIN, ...lines, END].join('\n')}\n`
}

/** At once or not at all: a reader never sees half a file. */
async function replaceFile(path: string, text: string): Promise<void> {
  const mode = await stat(path).then(
    (status) => status.mode & 0o777,
    () => 0o644,
  )
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(temporary, text, { mode, flag: 'wx' })
    await chmod(temporary, mode)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
