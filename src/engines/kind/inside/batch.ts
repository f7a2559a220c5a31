import { createHash } from 'node:crypto'
import type { OrderedChanges, Write } from '../../compose/change-order.js'
import type { Delivery } from '../../../orchestrator/ports.js'
import {
  beginFrame,
  commitFrame,
  deleteFrame,
  fileBeginFrame,
  fileBytesFrame,
  fileEndFrame,
  fileFrame,
  linkFrame,
} from './frames.js'
import type { AgentFailure, Bounds } from './frames.js'
import { openSource, sourceCause } from './source-file.js'
import type { SourceFile } from './source-file.js'

/** Pieces are gathered to this size: thousands of small files are no thousands of messages. */
const BLOCK = 64 * 1024
/** A larger file is sent in pieces. */
const LARGEST_WHOLE = 256 * 1024
/** So many blocks may come to a file while it is read; the agent takes no larger frame than 16 MB. */
const MOST_GROWTH = 64

const CHANGED = 'it changed while it was read'

export interface BatchOptions {
  readonly bounds: Bounds
  /** Sources that may be links: what a rule names itself is what its user means. */
  readonly named: ReadonlySet<string>
  /** The modification time that a target gets, in milliseconds, from the one its source has; null: a link. */
  readonly timeOf: (target: string, sourceMs: number | null) => number
  readonly signal: AbortSignal
}

/** One delivery on its way to one container. Files are read as they are at the moment they are sent. */
export class Batch {
  /** Target -> what was sent of it. */
  readonly #sent = new Map<string, { readonly hash: string; readonly bytes: number }>()
  readonly #failed = new Map<string, string>()
  readonly #targets: readonly string[]

  constructor(
    readonly id: number,
    private readonly changes: OrderedChanges,
    private readonly options: BatchOptions,
  ) {
    this.#targets = [...changes.deletes, ...changes.writes.map(({ target }) => target)]
  }

  /** Everything from its beginning to the question whether it is done. */
  async *chunks(): AsyncGenerator<Buffer> {
    let block: Buffer[] = []
    let size = 0
    for (const piece of this.#frames()) {
      block.push(piece)
      size += piece.length
      if (size < BLOCK) continue
      yield Buffer.concat(block, size)
      this.options.signal.throwIfAborted()
      block = []
      size = 0
    }
    if (size > 0) yield Buffer.concat(block, size)
  }

  /** @param failures what the agent could not do */
  result(failures: readonly AgentFailure[]): Delivery {
    for (const { index, cause } of failures) {
      const target = this.#targets[index]
      if (target !== undefined && !this.#failed.has(target)) this.#failed.set(target, cause)
    }
    const there = [...this.#sent].filter(([target]) => !this.#failed.has(target))
    return {
      bytes: there.reduce((sum, [, { bytes }]) => sum + bytes, 0),
      written: Object.fromEntries(there.map(([target, { hash }]) => [target, hash])),
      failed: [...this.#failed].map(([target, cause]) => ({ target, cause })),
    }
  }

  *#frames(): Generator<Buffer> {
    yield beginFrame(this.id, this.options.bounds)
    for (const [index, target] of this.changes.deletes.entries()) yield deleteFrame(index, target)
    const first = this.changes.deletes.length
    for (const [offset, write] of this.changes.writes.entries()) yield* this.#write(first + offset, write)
    yield commitFrame(this.id)
  }

  *#write(index: number, write: Write): Generator<Buffer> {
    const { target } = write
    if (write.type === 'link') {
      this.#sent.set(target, { hash: sha256(`link:${write.to}`), bytes: 0 })
      yield linkFrame({ index, target, timeMs: this.options.timeOf(target, null) }, write.to)
      return
    }
    const file = openSource(write.source, this.options.named.has(write.source))
    if (typeof file === 'string') {
      this.#failed.set(target, file)
      return
    }
    try {
      const about = { index, target, timeMs: this.options.timeOf(target, file.stats.mtimeMs) }
      if (file.stats.size > LARGEST_WHOLE) {
        yield fileBeginFrame(about, write.mode)
        yield* this.#pieces(file, target)
        return
      }
      const content = readWhole(file)
      if (content === null) {
        this.#failed.set(target, CHANGED)
        return
      }
      this.#sent.set(target, { hash: sha256(content), bytes: content.length })
      yield fileFrame(about, write.mode, content)
    } catch (error) {
      this.#failed.set(target, sourceCause(error))
    } finally {
      file.close()
    }
  }

  /** One that changes while it is read is not put in place: the next delivery brings the whole of it. */
  *#pieces(file: SourceFile, target: string): Generator<Buffer> {
    const hash = createHash('sha256')
    let bytes = 0
    let cause: string | null = null
    for (;;) {
      let piece: Buffer
      try {
        piece = file.read(BLOCK)
      } catch (error) {
        cause = sourceCause(error)
        break
      }
      if (piece.length === 0) break
      hash.update(piece)
      bytes += piece.length
      yield fileBytesFrame(piece)
    }
    if (cause === null && (bytes !== file.stats.size || !file.unchanged())) cause = CHANGED
    if (cause === null) this.#sent.set(target, { hash: hash.digest('hex'), bytes })
    else this.#failed.set(target, cause)
    yield fileEndFrame(cause === null)
  }
}

/** To its end, also where it has grown since its size was asked; null where it does not stop growing. */
function readWhole(file: SourceFile): Buffer | null {
  // One more byte tells the end without another call.
  const content = file.read(file.stats.size + 1)
  if (content.length <= file.stats.size) return content
  const pieces = [content]
  for (let piece = file.read(BLOCK); piece.length > 0; piece = file.read(BLOCK)) {
    pieces.push(piece)
    if (pieces.length > MOST_GROWTH) return null
  }
  return Buffer.concat(pieces)
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}
