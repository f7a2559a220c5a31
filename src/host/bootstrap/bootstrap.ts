import { DevstackError } from '../../core/error.js'
import { clusterToolsStep } from './cluster-tools.js'
import type { Environment } from './command.js'
import type { EngineEndpoint } from './endpoint.js'
import { engineEndpoint, pingEngine, requireLocal } from './endpoint.js'
import type { Machine } from './machine.js'
import { readMachine } from './machine.js'
import { accessStep, engineStep, imageToolsStep, packagesStep } from './steps.js'

/** What bootstrap tells while it works. */
export type BootstrapEvent =
  /** Nothing to do: `text` says what is there. */
  | { readonly type: 'stepSatisfied'; readonly step: string; readonly text: string }
  | { readonly type: 'stepStarted'; readonly step: string; readonly text: string }
  | { readonly type: 'stepProgressed'; readonly step: string; readonly text: string }
  | { readonly type: 'stepDone'; readonly step: string; readonly text: string; readonly seconds: number }

export interface BootstrapOptions {
  /** Consent to install system packages, given beforehand. */
  readonly yes: boolean
  /** There is somebody to ask. */
  readonly isTty: boolean
  /** Puts a question with yes as the default. */
  readonly ask: (question: string) => Promise<boolean>
  readonly env: Environment
  readonly signal: AbortSignal
  readonly emit: (event: BootstrapEvent) => void
  /** For the engine's log file where no service manager keeps one. */
  readonly stateDir: string
  /** No image registry answers: images will be made here, which needs a tool that makes a Debian from nothing. */
  readonly needsLocalImages?: boolean
  /** The stack runs in a cluster: `--engine kind`. */
  readonly needsCluster?: boolean
  /** Take an engine on another machine. */
  readonly allowRemote?: boolean
  /** What the machine is; read where it is not given. */
  readonly machine?: Machine
}

/** What every step works with. */
export interface StepContext extends BootstrapOptions {
  readonly machine: Machine
  readonly endpoint: EngineEndpoint
  readonly tell: (text: string) => void
}

/** One thing that a machine needs: `check` says what lacks, or null; `apply` brings it. */
export interface BootstrapStep {
  readonly name: string
  /** What is so when nothing lacks. */
  readonly satisfied: string
  readonly check: (context: StepContext) => Promise<Lack | null>
}

export interface Lack {
  /** What is done about it, as a step is told. */
  readonly doing: string
  /** What it needs consent for, and what somebody would type instead; null where no consent is needed. */
  readonly consent: { readonly question: string; readonly byHand: string } | null
  readonly apply: (context: StepContext) => Promise<void>
}

export interface BootstrapResult {
  readonly steps: readonly {
    readonly step: string
    readonly text: string
    readonly seconds: number
    readonly done: boolean
  }[]
  readonly endpoint: EngineEndpoint
  readonly engineVersion: string
  /** True where this process has not yet the docker group: run again through {@link throughGroup}. */
  readonly needsGroup: boolean
}

/**
 * Brings what this machine lacks for an engine: packages, the engine itself, the right to talk to it. Every step is
 * skipped where nothing lacks, so that a second run does nothing.
 * @throws DevstackError CONSENT_NEEDED, MACHINE_UNSUPPORTED, ENGINE_NOT_RUNNING, ENGINE_TOO_OLD
 */
export async function bootstrap(options: BootstrapOptions): Promise<BootstrapResult> {
  const machine = options.machine ?? (await readMachine(options.env))
  const steps = [
    packagesStep,
    engineStep,
    accessStep,
    ...(options.needsLocalImages === true ? [imageToolsStep] : []),
    ...(options.needsCluster === true ? [clusterToolsStep] : []),
  ]
  const results: BootstrapResult['steps'][number][] = []
  for (const step of steps) {
    options.signal.throwIfAborted()
    // Anew for each step: the client that the first one brings may know a context.
    const endpoint = await engineEndpoint(options.env, options.signal)
    if (options.allowRemote !== true) requireLocal(endpoint)
    const tell = (text: string) => {
      options.emit({ type: 'stepProgressed', step: step.name, text })
    }
    results.push(await runStep(step, { ...options, machine, endpoint, tell }))
  }
  const endpoint = await engineEndpoint(options.env, options.signal)
  const answer = await pingEngine(endpoint, options.env, options.signal)
  return {
    steps: results,
    endpoint,
    engineVersion: answer.state === 'running' ? answer.version : '',
    needsGroup: answer.state === 'denied',
  }
}

async function runStep(step: BootstrapStep, context: StepContext): Promise<BootstrapResult['steps'][number]> {
  const lack = await step.check(context)
  if (lack === null) {
    context.emit({ type: 'stepSatisfied', step: step.name, text: step.satisfied })
    return { step: step.name, text: step.satisfied, seconds: 0, done: false }
  }
  if (lack.consent !== null) await consent(lack.consent, context)
  const started = performance.now()
  context.emit({ type: 'stepStarted', step: step.name, text: lack.doing })
  await lack.apply(context)
  const left = await step.check(context)
  if (left !== null) {
    throw new DevstackError('MACHINE_UNSUPPORTED', `${lack.doing} did not help`, {
      cause: `still to do: ${left.doing}`,
      hint: 'devstack doctor',
    })
  }
  const seconds = (performance.now() - started) / 1000
  context.emit({ type: 'stepDone', step: step.name, text: lack.doing, seconds })
  return { step: step.name, text: lack.doing, seconds, done: true }
}

async function consent(wanted: { question: string; byHand: string }, context: StepContext): Promise<void> {
  const { question, byHand } = wanted
  if (context.yes || context.env['CI'] === 'true') return
  if (context.isTty && (await context.ask(`${question}: go on?`))) return
  throw new DevstackError('CONSENT_NEEDED', question, {
    cause: context.isTty ? 'you said no' : 'there is no terminal to ask on',
    hint: `${byHand}\nor again with --yes`,
  })
}

/** One line for people, in the launcher's manner; null where there is nothing to say. */
export function formatBootstrapEvent(event: BootstrapEvent): string | null {
  switch (event.type) {
    case 'stepSatisfied':
      return null
    case 'stepStarted':
      return `${event.text} ...`
    case 'stepProgressed':
      return `  ${event.text}`
    case 'stepDone':
      return `${event.text}: ${event.seconds.toFixed(1)} s`
  }
}

/** A command run with the docker group that this login does not have yet: `sg` takes one word, for a shell. */
export function throughGroup(argv: readonly string[]): readonly string[] {
  return ['sg', 'docker', '-c', argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')]
}
