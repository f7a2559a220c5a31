import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DevstackError } from '../core/error.js'
import type { DeliveryRecord } from '../orchestrator/ports.js'
import { isMissing } from './project/files.js'
import { ensurePrivateFolder, readPrivateFile, uid } from './project/state.js'

type Entries = Readonly<Record<string, string | null>>

/** What is known of one instance, and how long its journal has grown. */
interface Journal {
  readonly entries: Map<string, string | null>
  /** Bytes in the file; it is written anew when it is much longer than what it says. */
  bytes: number
  /** So long it may become before it is compared again with what it says: that costs as much as it says. */
  compactAt: number
  /** The file ends within a line: a crash cut it. The next line begins after a line break. */
  torn: boolean
}

const SUFFIX = '.ndjson'
/** A container's id or name, or a pod's: never a path. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/
/** A journal shorter than this is left as it is. */
const COMPACT_BYTES = 256 * 1024

/**
 * Keeps what was delivered in `folder`: one journal an instance, a JSON object a line, later lines win. An addition is one
 * write that a killed process leaves whole or as a torn last line, which is passed over. It is not forced to the disk
 * (2.5 ms against 0.01): the container's own files are not either, and a record that outlives them would claim too much.
 */
export function createDeliveryRecord(folder: string): DeliveryRecord {
  const journals = new Map<string, Promise<Journal>>()
  const journalOf = (instance: string): Promise<Journal> => {
    const known = journals.get(instance)
    if (known !== undefined) return known
    const opened = openJournal(folder, fileOf(folder, instance))
    journals.set(instance, opened)
    // A folder that could not be read is tried again.
    opened.catch(() => journals.delete(instance))
    return opened
  }
  return {
    async read(instance) {
      return Object.fromEntries((await journalOf(instance)).entries)
    },
    async add(instance, entries) {
      const journal = await journalOf(instance)
      if (Object.keys(entries).length === 0) return
      append(fileOf(folder, instance), journal, entries)
      if (journal.bytes > journal.compactAt) compact(fileOf(folder, instance), journal)
    },
    async keep(instances) {
      const kept = new Set(instances.map((instance) => `${instance}${SUFFIX}`))
      for (const name of journals.keys()) if (!instances.includes(name)) journals.delete(name)
      const names = await readdir(folder).catch((error: unknown) => {
        if (isMissing(error)) return []
        throw error
      })
      const stale = names.filter((name) => name.includes(SUFFIX) && !kept.has(name))
      await Promise.all(stale.map(async (name) => rm(join(folder, name), { force: true })))
    },
  }
}

function fileOf(folder: string, instance: string): string {
  if (PLAIN.test(instance)) return join(folder, `${instance}${SUFFIX}`)
  throw new DevstackError('OPERATION_FAILED', 'an instance has an id that cannot name a file', {
    cause: `the engine calls it ${JSON.stringify(instance)}`,
  })
}

async function openJournal(folder: string, file: string): Promise<Journal> {
  await ensurePrivateFolder(folder)
  const text = (await readPrivateFile(file)) ?? ''
  const entries = new Map<string, string | null>()
  for (const line of text.split('\n')) {
    for (const [target, hash] of Object.entries(parse(line))) entries.set(target, hash)
  }
  const torn = text !== '' && !text.endsWith('\n')
  return { entries, bytes: Buffer.byteLength(text), compactAt: COMPACT_BYTES, torn }
}

/** A line that makes no sense says nothing: the files it told of count as not delivered, and are delivered again. */
function parse(line: string): Entries {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
    return Object.fromEntries(
      Object.entries(value).filter(([, hash]) => hash === null || typeof hash === 'string'),
    )
  } catch {
    return {}
  }
}

/** Without a thread in between: a few microseconds, in the order of the calls. */
function append(file: string, journal: Journal, entries: Entries): void {
  const descriptor = openSync(
    file,
    constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW,
    0o600,
  )
  try {
    const found = fstatSync(descriptor)
    if (found.uid !== uid() || !found.isFile()) throw foreign(file)
    const line = `${needsBreak(descriptor, found.size, journal) ? '\n' : ''}${JSON.stringify(entries)}\n`
    journal.torn = true
    writeWhole(descriptor, Buffer.from(line))
    journal.torn = false
    journal.bytes = found.size + Buffer.byteLength(line)
  } finally {
    closeSync(descriptor)
  }
  for (const [target, hash] of Object.entries(entries)) journal.entries.set(target, hash)
}

/** After a write that failed half-way (a full disk) the file is looked at, not what is remembered. */
function needsBreak(descriptor: number, size: number, journal: Journal): boolean {
  if (!journal.torn || size === 0) return false
  const last = Buffer.alloc(1)
  readSync(descriptor, last, 0, 1, size - 1)
  return last.toString() !== '\n'
}

function writeWhole(descriptor: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done)
}

/** Only where half of it or more says what later lines say otherwise. One step for a reader, and for a crash. */
function compact(file: string, journal: Journal): void {
  const text = `${JSON.stringify(Object.fromEntries(journal.entries))}\n`
  const bytes = Buffer.byteLength(text)
  journal.compactAt = Math.max(COMPACT_BYTES, bytes * 2)
  if (bytes * 2 > journal.bytes) return
  const draft = `${file}.${String(process.pid)}.draft`
  rmSync(draft, { force: true })
  writeFileSync(draft, text, { flag: 'wx', mode: 0o600 })
  renameSync(draft, file)
  journal.bytes = bytes
}

function foreign(file: string): DevstackError {
  return new DevstackError('STATE_FOREIGN', `the state in ${file} is not yours`, {
    cause: 'it is not a file of this user',
    hint: 'use another folder: XDG_STATE_HOME=DIR',
  })
}
