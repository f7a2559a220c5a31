import type { Progress } from '../../core/events.js'
import { sanitise } from '../compose/sanitise.js'

/** The step that broke a build. */
export interface FailedStep {
  /** `RUN pip install -r requirements.txt` */
  readonly name: string
  readonly error: string
  readonly lastLines: readonly string[]
}

/** Reads what `docker buildx build --progress=rawjson` prints. */
export interface BuildProgressReader {
  /** Takes one line; tells where the build stands where that changed. */
  read(line: string): Progress | null
  failure(): FailedStep | null
}

interface Vertex {
  readonly digest: string
  readonly name: string
  readonly started?: string
  readonly completed?: string
  readonly error?: string
}

interface SolveStatus {
  readonly vertexes?: readonly Vertex[] | null
  readonly logs?: readonly { readonly vertex: string; readonly data: string }[] | null
}

interface Step {
  name: string
  /** RFC 3339: sorts as text. */
  started: string | null
  completed: boolean
  error: string | null
  readonly lines: string[]
}

const KEPT_LINES = 30

/** @param output gets every line that a step prints */
export function createBuildProgress(output: (line: string) => void): BuildProgressReader {
  const steps = new Map<string, Step>()
  let pending = ''
  const read = (line: string): Progress | null => {
    const status = parse(line)
    if (status === null) return null
    for (const vertex of status.vertexes ?? []) takeVertex(steps, vertex)
    for (const { vertex, data } of status.logs ?? []) takeLog(steps.get(vertex), data, output)
    return describe([...steps.values()])
  }
  /** One document a line in newer versions; 0.13 prints each over several. */
  const parse = (line: string): SolveStatus | null => {
    if (pending === '' && !line.startsWith('{')) return null
    pending += line
    if (!line.startsWith('}') && !(line.startsWith('{') && line.endsWith('}'))) return null
    const text = pending
    pending = ''
    try {
      return JSON.parse(text) as SolveStatus
    } catch {
      return null
    }
  }
  return { read, failure: () => findFailure([...steps.values()]) }
}

function takeVertex(steps: Map<string, Step>, vertex: Vertex): void {
  const step = steps.get(vertex.digest) ?? {
    name: '',
    started: null,
    completed: false,
    error: null,
    lines: [],
  }
  step.name = vertex.name
  step.started = vertex.started ?? null
  step.completed = vertex.completed !== undefined
  step.error = vertex.error === undefined || vertex.error === '' ? null : vertex.error
  steps.set(vertex.digest, step)
}

function takeLog(step: Step | undefined, data: string, output: (line: string) => void): void {
  for (const line of sanitise(Buffer.from(data, 'base64')).split(/[\r\n]+/)) {
    if (line.trim() === '') continue
    output(line)
    step?.lines.push(line)
    if (step !== undefined && step.lines.length > KEPT_LINES) step.lines.shift()
  }
}

function describe(all: readonly Step[]): Progress | null {
  // What BuildKit does for itself (reading the Dockerfile, its context) is no step of the Dockerfile.
  const steps = all.filter(({ name }) => /^\[(?!internal|context)/.test(name))
  if (steps.length === 0) return null
  const completed = steps.filter((step) => step.completed).length
  const started = steps
    .filter((step) => step.started !== null)
    .toSorted((a, b) => ((a.started ?? '') < (b.started ?? '') ? -1 : 1))
  const current = started.findLast((step) => !step.completed) ?? started.at(-1)
  const stepName = current === undefined ? 'starting' : plainName(current)
  const text = completed === steps.length ? 'writing the image' : stepName
  return {
    text,
    step: Math.min(completed + 1, steps.length),
    steps: steps.length,
    percent: Math.round((completed / steps.length) * 100),
    bytes: null,
    totalBytes: null,
  }
}

/** `[stage 2/5] RUN apt-get ...` without the brackets, on one line. */
function plainName({ name }: Pick<Step, 'name'>): string {
  return sanitise(name)
    .replace(/^\[[^\]]*\]\s*/, '')
    .replaceAll(/\s+/g, ' ')
    .slice(0, 120)
}

function findFailure(steps: readonly Step[]): FailedStep | null {
  const failed = steps.filter((step) => step.error !== null)
  // When one step fails the others are cancelled, which is an error too.
  const step = failed.find(({ error }) => !/context canceled/i.test(error ?? '')) ?? failed[0]
  return step === undefined ? null : { name: plainName(step), error: step.error ?? '', lastLines: step.lines }
}
