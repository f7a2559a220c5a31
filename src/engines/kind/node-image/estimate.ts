import type { Progress } from '../../../core/events.js'

/** A part of the build: what it is called, and how many seconds it takes on two processors that do nothing else. */
interface Stage {
  readonly text: string
  readonly seconds: number
}

/** In the order in which they are told; the engine's builder decides the real order of those that need not wait. */
const STAGES = {
  base: { text: 'making the base image', seconds: 16 },
  compiler: { text: 'installing the compiler', seconds: 12 },
  files: { text: 'making the file system from packages', seconds: 25 },
  coredns: { text: 'compiling CoreDNS', seconds: 75 },
  kubernetes: { text: 'compiling Kubernetes', seconds: 300 },
  tools: { text: 'compiling the tools', seconds: 8 },
  pack: { text: 'packing the images inside', seconds: 6 },
  store: { text: 'putting the images inside', seconds: 3 },
  write: { text: 'writing the image', seconds: 4 },
} as const satisfies Readonly<Record<string, Stage>>

type StageName = keyof typeof STAGES
const NAMES = Object.keys(STAGES) as readonly StageName[]
const COMPILED: readonly StageName[] = ['coredns', 'kubernetes', 'tools']
const BEFORE_PACKING: readonly StageName[] = ['base', 'compiler', 'files', ...COMPILED]

/** What making the file system says it begins with, and how far it is then. */
const FILES_STEPS: readonly (readonly [start: string, done: number])[] = [
  ['I: downloading packages', 0.1],
  ['I: extracting archives', 0.35],
  ['I: installing essential', 0.45],
  ['I: installing remaining', 0.55],
  ['I: cleaning', 0.95],
]

/** Follows what the build prints and tells how far it is and how long the rest will take. */
export interface BuildEstimate {
  /** How far the base image is; null: it is there. */
  base(progress: Progress | null): void
  /** One line that a step of the build printed. */
  line(text: string): void
  /** Tells where it stands, where that changed; called now and then. */
  tell(): void
}

interface Compiling {
  readonly stage: StageName
  /** Packages that are left to compile: an earlier build that was stopped may have left fewer than all. */
  readonly left: number
  compiled: number
}

interface State {
  /** 0 to 1 for each stage. */
  readonly done: Map<StageName, number>
  /** What part of a stage need not be done at all, and counts neither as done nor as to do. */
  readonly spared: Map<StageName, number>
  current: StageName
  compiling: Compiling | null
}

/**
 * @param processors how many there are: but for a few seconds, all of it is calculation
 * @param now monotonic milliseconds
 */
export function estimateBuild(
  processors: number,
  now: () => number,
  progress: (progress: Progress) => void,
): BuildEstimate {
  const began = now()
  const state: State = { done: new Map(), spared: new Map(), current: 'base', compiling: null }
  let told = ''
  return {
    base(own) {
      if (own === null) finish(state, ['base'])
      else state.done.set('base', Math.max(0.01, (own.percent ?? 0) / 100))
      if (own === null) enter(state, 'compiler')
    },
    line(text) {
      takeLine(state, text)
    },
    tell() {
      const { percent, seconds } = remaining(state, processors, (now() - began) / 1000)
      const text = `${STAGES[state.current].text}, ${formatRemaining(seconds)} left`
      if (text + String(percent) === told) return
      told = text + String(percent)
      const step = NAMES.indexOf(state.current) + 1
      progress({ text, step, steps: NAMES.length, percent, bytes: null, totalBytes: null })
    },
  }
}

function takeLine(state: State, text: string): void {
  const [, word, subject = '', left = '0', total = '1'] =
    /^devstack: (\w+) ?(\w*)(?: (\d+) of (\d+))?/.exec(text) ?? []
  if (word === undefined) {
    const files = FILES_STEPS.find(([start]) => text.startsWith(start))
    if (files !== undefined) state.done.set('files', files[1])
    else countPackage(state.compiling, state, text)
    return
  }
  const module = COMPILED.find((name) => name === subject)
  if (word === 'making') {
    finish(state, ['base'])
    if (state.compiling === null) enter(state, 'files')
  } else if (word === 'made') finish(state, ['files'])
  else if (word === 'packing') {
    finish(state, BEFORE_PACKING)
    enter(state, 'pack')
  } else if (word === 'storing') {
    finish(state, [...BEFORE_PACKING, 'pack'])
    enter(state, 'store')
  } else if (word === 'stored') {
    finish(state, ['store'])
    enter(state, 'write')
  } else if (module !== undefined && word === 'fetching') {
    finish(state, ['base', 'compiler'])
    enter(state, module)
  } else if (module !== undefined && word === 'compiling') {
    enter(state, module)
    state.compiling = { stage: module, left: Number(left), compiled: 0 }
    state.spared.set(module, 1 - Number(left) / Math.max(1, Number(total)))
  } else if (module !== undefined && word === 'compiled') {
    state.compiling = null
    finish(state, [module])
  }
}

/** The compiler prints the name of each package that it begins with. */
function countPackage(compiling: Compiling | null, { done }: State, text: string): void {
  if (compiling === null || !/^[\w.~@/-]+$/.test(text)) return
  compiling.compiled = Math.min(compiling.left, compiling.compiled + 1)
  done.set(compiling.stage, Math.max(0.01, compiling.compiled / (compiling.left + 1)))
}

function enter(state: State, name: StageName): void {
  state.current = name
  if (!state.done.has(name)) state.done.set(name, 0.01)
}

function finish(state: State, names: readonly StageName[]): void {
  const { done, spared } = state
  for (const name of names) {
    // A stage of which nothing was seen came out of the engine's cache.
    if (!done.has(name)) spared.set(name, 1)
    done.set(name, 1)
  }
  // What runs beside it is what is waited for now.
  if (names.includes(state.current)) {
    state.current = NAMES.find((name) => done.has(name) && done.get(name) !== 1) ?? state.current
  }
}

/** What was foreseen counts as much as this many seconds of what is measured. */
const FORESEEN_SECONDS = 20

function remaining(
  { done, spared }: State,
  processors: number,
  elapsed: number,
): { readonly percent: number; readonly seconds: number } {
  const cost = (name: StageName): number => STAGES[name].seconds * (1 - (spared.get(name) ?? 0))
  const past = NAMES.reduce((sum, name) => sum + cost(name) * (done.get(name) ?? 0), 0)
  const all = NAMES.reduce((sum, name) => sum + cost(name), 0)
  const foreseen = Math.max(0.5, 2 / processors)
  // How many seconds one second of the table takes here.
  const pace = (elapsed + foreseen * FORESEEN_SECONDS) / (past + FORESEEN_SECONDS)
  return { percent: Math.min(99, Math.round((past / all) * 100)), seconds: (all - past) * pace }
}

/** As rough as it is known: `about 4 min`, `about 20 s`. */
export function formatRemaining(seconds: number): string {
  if (seconds >= 90) return `about ${String(Math.round(seconds / 60))} min`
  if (seconds >= 10) return `about ${String(Math.ceil(seconds / 10) * 10)} s`
  return 'a few seconds'
}
