import { appendFileSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Writes a bug's stack to the log file and says where it is: people are not shown stack traces. */
export function reportBug(error: unknown, env: Readonly<Record<string, string | undefined>>): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const folder = join(env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'devstack')
  const file = join(folder, 'bugs.log')
  const message = error instanceof Error ? error.message : String(error)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    appendFileSync(file, `${new Date().toISOString()} ${text}\n`, { mode: 0o600 })
    return `error: a bug in devstack\n  cause: ${message}\n  try: report it with the stack trace in ${file}`
  } catch {
    return `error: a bug in devstack\n  cause: ${text}`
  }
}
