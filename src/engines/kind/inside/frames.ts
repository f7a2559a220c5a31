/*
 * What is said between here and agent/serve.pl. A frame is its type (one letter), the length of what follows (four bytes),
 * and that; numbers are big-endian, texts have their length before them.
 *
 *   here -> agent                                    agent -> here
 *   B  a batch begins: its bounds                    H  hello: version, owner of what is written
 *   X  delete                                        R  one thing of a batch failed, and why
 *   L  link                                          A  the batch is done
 *   F  file, whole                                   G  how the gate stands
 *   W  file, D its bytes, E its end                  P  work goes on
 *   C  the batch is whole: answer
 *   G  open a container's gate
 */

/** What may be written to in one container. */
export interface Bounds {
  /** Targets of the service's rules: nothing below one of them is written outside of it. */
  readonly roots: readonly string[]
  /** Where folders of the machine are mounted. */
  readonly binds: readonly string[]
}

/** What all that is written has. */
export interface About {
  /** Its number in the batch. */
  readonly index: number
  readonly target: string
  /** Modification time in milliseconds. */
  readonly timeMs: number
}

const HEAD = 5

function frame(type: string, length: number): { readonly bytes: Buffer; readonly at: number } {
  const bytes = Buffer.allocUnsafe(HEAD + length)
  bytes[0] = type.charCodeAt(0)
  bytes.writeUInt32BE(length, 1)
  return { bytes, at: HEAD }
}

function numbers(type: string, ...values: readonly number[]): Buffer {
  const { bytes, at } = frame(type, values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, at + index * 4)
  return bytes
}

function text(value: string): Buffer {
  const length = Buffer.byteLength(value)
  const bytes = Buffer.allocUnsafe(4 + length)
  bytes.writeUInt32BE(length)
  bytes.write(value, 4)
  return bytes
}

/** With what follows counted into its length. */
function joined(type: string, parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const { bytes, at } = frame(type, length)
  let to = at
  for (const part of parts) {
    bytes.set(part, to)
    to += part.length
  }
  return bytes
}

/** Seconds and nanoseconds. */
function time(ms: number): Buffer {
  const bytes = Buffer.allocUnsafe(12)
  const seconds = Math.floor(ms / 1000)
  bytes.writeBigInt64BE(BigInt(seconds))
  bytes.writeUInt32BE(Math.min(999_999_999, Math.round((ms - seconds * 1000) * 1e6)), 8)
  return bytes
}

function number(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function beginFrame(batch: number, { roots, binds }: Bounds): Buffer {
  return joined('B', [number(batch), number(roots.length), ...[...roots, ...binds].map(text)])
}

export function deleteFrame(index: number, target: string): Buffer {
  return joined('X', [number(index), text(target)])
}

export function linkFrame({ index, target, timeMs }: About, to: string): Buffer {
  return joined('L', [number(index), time(timeMs), text(target), text(to)])
}

export function fileFrame({ index, target, timeMs }: About, mode: number, content: Uint8Array): Buffer {
  return joined('F', [number(index), number(mode), time(timeMs), text(target), content])
}

export function fileBeginFrame({ index, target, timeMs }: About, mode: number): Buffer {
  return joined('W', [number(index), number(mode), time(timeMs), text(target)])
}

export function fileBytesFrame(bytes: Uint8Array): Buffer {
  return joined('D', [bytes])
}

/** @param whole false: what was sent of it is thrown away, and what stood there stays */
export function fileEndFrame(whole: boolean): Buffer {
  return joined('E', [Uint8Array.of(whole ? 1 : 0)])
}

export function commitFrame(batch: number): Buffer {
  return numbers('C', batch)
}

export function gateFrame(request: number, seconds: number, container: string): Buffer {
  return joined('G', [number(request), number(seconds), text(container)])
}

/** One thing of a batch that the agent could not do. */
export interface AgentFailure {
  readonly index: number
  /** The system's number for it; 0 where the agent refused it itself. */
  readonly errno: number
  readonly cause: string
}

/** opened: by this call. none: its program has begun. shut: it never came to the gate. failed: its folder cannot be written to. */
export type GateState = 'opened' | 'none' | 'shut' | 'failed'

export type AgentAnswer =
  | { readonly type: 'hello'; readonly version: number; readonly uid: number; readonly gid: number }
  | { readonly type: 'failure'; readonly failure: AgentFailure }
  | { readonly type: 'done'; readonly batch: number }
  | { readonly type: 'gate'; readonly request: number; readonly state: GateState }
  | { readonly type: 'progress' }

const GATE_STATES: Readonly<Record<string, GateState>> = { O: 'opened', N: 'none', T: 'shut', F: 'failed' }
/** The agent's answers are short: more means that something else writes there. */
const LONGEST_ANSWER = 1024 * 1024

/** Takes apart what the agent answers; chunks may be cut anywhere. */
export function createAnswerReader(): (chunk: Uint8Array) => readonly AgentAnswer[] {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    let data = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    const answers: AgentAnswer[] = []
    while (data.length >= HEAD) {
      const length = data.readUInt32BE(1)
      if (length > LONGEST_ANSWER)
        throw new Error(`the agent says ${JSON.stringify(data.toString('latin1', 0, 200))}`)
      if (data.length < HEAD + length) break
      answers.push(readAnswer(String.fromCharCode(data[0] ?? 0), data.subarray(HEAD, HEAD + length)))
      data = data.subarray(HEAD + length)
    }
    rest = data
    return answers
  }
}

function readAnswer(type: string, payload: Buffer): AgentAnswer {
  switch (type) {
    case 'H':
      return {
        type: 'hello',
        version: payload.readUInt32BE(0),
        uid: payload.readUInt32BE(4),
        gid: payload.readUInt32BE(8),
      }
    case 'R': {
      const cause = payload.toString('utf8', 12)
      return {
        type: 'failure',
        failure: { index: payload.readUInt32BE(0), errno: payload.readUInt32BE(4), cause },
      }
    }
    case 'A':
      return { type: 'done', batch: payload.readUInt32BE(0) }
    case 'G':
      return {
        type: 'gate',
        request: payload.readUInt32BE(0),
        state: GATE_STATES[payload.toString('latin1', 4)] ?? 'failed',
      }
    case 'P':
      return { type: 'progress' }
    default:
      throw new Error(`the agent says ${JSON.stringify(type)}`)
  }
}
