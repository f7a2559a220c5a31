import { createHash } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { ensurePrivateFolder, uid } from './state.js'

/** What fits into the address of a Unix socket on Linux, without the closing zero. */
const MAX_BYTES = 107

/**
 * The path of a session's socket: in its state folder, or where that path is too long in a runtime folder (0700, ours),
 * which it makes.
 * @throws DevstackError STATE_FOREIGN where somebody else owns the runtime folder
 */
export async function socketPath(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const wanted = join(folder, 'session.sock')
  if (fits(wanted)) return wanted
  const name = `${createHash('sha256').update(folder).digest('hex').slice(0, 16)}.sock`
  const runtime = env['XDG_RUNTIME_DIR'] ?? ''
  const inRuntime = join(runtime, 'devstack', name)
  if (runtime.startsWith('/') && fits(inRuntime) && (await isOurs(runtime))) {
    await ensurePrivateFolder(join(runtime, 'devstack'))
    return inRuntime
  }
  const shared = `/tmp/devstack-${String(uid())}`
  await ensurePrivateFolder(shared)
  return join(shared, name)
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_BYTES
}

async function isOurs(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => null)
  return found?.isDirectory() === true && found.uid === uid()
}
