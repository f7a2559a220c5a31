import { constants } from 'node:fs'
import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { RequestFile } from '../../core/exchange.js'
import type { RecordedEntry } from '../../core/exchange-record.js'
import { isMissing } from '../project/files.js'

/** Longer recordings are rather split. */
const MOST_BYTES = 64 * 1024 * 1024

/** Where `devstack record` writes and `devstack compare` reads when no file is named: of this worktree, for every engine. */
export function lastRecording(engineStateFolder: string): string {
  return join(engineStateFolder, '..', 'requests.ndjson')
}

/**
 * Reads requests, recorded or written by hand.
 * @throws DevstackError CONFIG_INVALID with every problem at its place
 */
export async function loadRequests(file: string): Promise<RequestFile> {
  const content = await contentOf(file)
  // zod and yaml are loaded only here.
  const { readRequests } = await import('../../core/exchange-read.js')
  const { file: read, problems } = readRequests(content, file)
  if (read === null) {
    const count = problems.length === 1 ? 'a problem' : `${String(problems.length)} problems`
    throw new DevstackError('CONFIG_INVALID', `${file} has ${count}`, { problems })
  }
  if (read.requests.length === 0)
    throw new DevstackError('CONFIG_INVALID', `${file} holds no request`, {
      hint: 'write one a line: "- GET /api/health", or record some: devstack record',
    })
  return read
}

async function contentOf(file: string): Promise<string> {
  try {
    const about = await stat(file)
    if (!about.isFile()) throw refused(file, 'it is not a file')
    if (about.size > MOST_BYTES) throw refused(file, `it has ${String(about.size)} bytes; 64 MB are the most`)
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof DevstackError) throw error
    if (isMissing(error)) throw refused(file, 'there is no such file', 'devstack record writes one')
    throw refused(file, error instanceof Error ? error.message : String(error))
  }
}

function refused(file: string, cause: string, hint: string | null = null): DevstackError {
  return new DevstackError('CONFIG_INVALID', `${file} cannot be read`, { cause, hint })
}

/** A recording that is being written: a line for each request, 0600. */
export interface RecordingFile {
  readonly write: (entry: RecordedEntry) => Promise<void>
  readonly close: () => Promise<void>
}

/**
 * Begins a recording. `replace`: an earlier one of the same name gives way.
 * @throws DevstackError USAGE where the file is there already or cannot be made
 */
export async function createRecording(file: string, replace: boolean): Promise<RecordingFile> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_TRUNC } = constants
  const flags = O_WRONLY | O_CREAT | O_NOFOLLOW | (replace ? O_TRUNC : O_EXCL)
  const handle = await open(file, flags, 0o600).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST')
      throw new DevstackError('USAGE', `${file} is there already`, {
        hint: 'name another file, or remove it',
      })
    throw new DevstackError('USAGE', `${file} cannot be written`, {
      cause: error instanceof Error ? error.message : null,
    })
  })
  await handle.chmod(0o600)
  const line = async (value: object): Promise<void> => {
    await handle.writeFile(`${JSON.stringify(value)}\n`).catch((error: unknown) => {
      const full = error instanceof Error && 'code' in error && error.code === 'ENOSPC'
      throw new DevstackError(
        full ? 'DISK_FULL' : 'OPERATION_FAILED',
        `${file} cannot be written any further`,
        {
          cause: error instanceof Error ? error.message : null,
          hint: full ? 'make room, and record again; what is written so far can be sent' : null,
        },
      )
    })
  }
  await line({ schema: 'devstack.requests/1' })
  return { write: line, close: async () => handle.close() }
}
