import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** What the `docker` program prints. */
export async function docker(...argv: readonly string[]): Promise<string> {
  return (await promisify(execFile)('docker', argv)).stdout.trim()
}
