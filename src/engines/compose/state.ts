import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** The file's text, or null where it is not there. */
export async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Writes a private file whole or not at all, and only where its text changes. Returns whether it did. */
export async function writeIfChanged(file: string, text: string, before: string | null): Promise<boolean> {
  if (text === before) return false
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${String(process.pid)}.new`
  await writeFile(temporary, text, { mode: 0o600 })
  await rename(temporary, file)
  return true
}
