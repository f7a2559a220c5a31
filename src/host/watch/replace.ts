import { open, rename, rm, stat } from 'node:fs/promises'

/** Written beside and renamed: whoever reads the file sees the old content or the new, never a part. */
export async function replaceFile(path: string, content: Uint8Array): Promise<void> {
  const mode = await stat(path).then(
    (stats) => stats.mode & 0o7777,
    () => 0o644,
  )
  // An editor's name, so that no rule delivers it.
  const beside = `${path}.devstack~`
  // Whatever is there already is somebody else's, and stays. Nobody reads ours before it has its mode.
  const file = await open(beside, 'wx', 0o600)
  try {
    try {
      await file.writeFile(content)
      await file.chmod(mode)
    } finally {
      await file.close()
    }
    await rename(beside, path)
  } catch (error) {
    // What went wrong is what is told, also where this goes wrong too.
    await rm(beside, { force: true }).catch(() => undefined)
    throw error
  }
}
