import type { Progress } from '../../core/events.js'

/** Reads BuildKit's plain progress lines: `#7 [api stage-1 3/5] RUN pip install ...`. */
export interface BuildReader {
  /** How far the build is, or null where the line says nothing new about it. */
  read(line: string): Progress | null
  /** Which step failed and what it printed last; null and empty where none did. */
  failure(): BuildFailure
  /** What a step of the Dockerfile printed in this line, without BuildKit's number and time; null in its own lines. */
  printed(line: string): string | null
}

export interface BuildFailure {
  readonly step: string | null
  readonly lines: readonly string[]
  /** What BuildKit says about the step's end: `exit code: 7`. */
  readonly error: string | null
}

interface Vertex {
  readonly text: string
  readonly stage: string
  readonly step: number
  readonly steps: number
  done: boolean
}

const KEPT_LINES = 20

export function createBuildReader(): BuildReader {
  const vertices = new Map<string, Vertex>()
  const stages = new Map<string, number>()
  const printed = new Map<string, string[]>()
  let failed: string | null = null
  let error: string | null = null
  let block: string[] | null = null
  let blockStep: string | null = null

  const progress = (text: string): Progress => {
    const steps = [...stages.values()].reduce((sum, count) => sum + count, 0)
    const done = [...vertices.values()].filter((vertex) => vertex.done).length
    const step = Math.min(done + 1, steps)
    const percent = steps === 0 ? null : Math.floor((100 * done) / steps)
    return {
      text,
      step: steps === 0 ? null : step,
      steps: steps === 0 ? null : steps,
      percent,
      bytes: null,
      totalBytes: null,
    }
  }

  const started = (id: string, text: string): Progress | null => {
    const match = /^\[(?:(.*) )?(\d+)\/(\d+)\] (.*)$/.exec(text)
    if (match === null || vertices.has(id)) return null
    const [, stage = '', step = '', steps = '', command = ''] = match
    vertices.set(id, { text: command, stage, step: Number(step), steps: Number(steps), done: false })
    stages.set(stage, Number(steps))
    return progress(command)
  }

  const ended = (id: string): Progress | null => {
    const vertex = vertices.get(id)
    if (vertex === undefined || vertex.done) return null
    vertex.done = true
    return progress(vertex.text)
  }

  const read = (line: string): Progress | null => {
    readFailureBlock(line)
    const match = /^#(\d+) (.*)$/.exec(line)
    if (match === null) return null
    const [, id = '', rest = ''] = match
    if (rest.startsWith('[')) return started(id, rest)
    if (/^(DONE|CACHED)\b/.test(rest)) return ended(id)
    if (rest.startsWith('ERROR') && failed === null) {
      failed = id
      error = rest.replace(/^ERROR:? ?(process .* did not complete successfully: )?/, '')
    }
    const output = printedBy(line)
    if (output !== null) {
      const lines = printed.get(id) ?? []
      lines.push(output)
      if (lines.length > KEPT_LINES) lines.shift()
      printed.set(id, lines)
    }
    return null
  }

  /** At the end BuildKit repeats the failing step between two rulers; it names the step even where its id was not seen. */
  const readFailureBlock = (line: string): void => {
    if (/^-{4,}$/.test(line)) {
      block = block === null ? [] : null
      return
    }
    const heading = block === null ? null : /^ > (.*?):?$/.exec(line)
    if (heading !== null) blockStep = heading[1] ?? null
  }

  return {
    read,
    printed: printedBy,
    failure: () => {
      const vertex = failed === null ? undefined : vertices.get(failed)
      const lines = failed === null ? [] : (printed.get(failed) ?? [])
      const step =
        vertex === undefined
          ? blockStep
          : `step ${String(vertex.step)} of ${String(vertex.steps)}: ${vertex.text}`
      return { step, lines, error }
    },
  }
}

function printedBy(line: string): string | null {
  return /^#\d+ \d+\.\d+ (.*)$/.exec(line)?.[1] ?? null
}
