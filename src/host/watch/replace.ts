import { chmod, rename, rm, stat, writeFile } from 'node:fs/promises'

/** Written beside and renamed: whoever reads the file sees the old content or the new, never a part. */
export async function replaceFile(path: string, content: Uint8Array): Promise<void> {
  const mode = await stat(path).then(
    (stats) => stats.mode & 0o7777,
    () => 0o644,
  )
  // An editor's name, so that no rule delivers it.
  const beside = `${path}.devstack~`
  await writeFile(beside, content, { flag: 'wx' })
  try {
    await chmod(beside, mode)
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
}
