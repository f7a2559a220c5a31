import type { Environment } from '../bootstrap/command.js'
import type { EngineAnswer, EngineEndpoint } from '../bootstrap/endpoint.js'
import type { Component } from '../bootstrap/machine.js'
import type { Presence } from '../bootstrap/versions.js'

type CheckStatus = 'pass' | 'warning' | 'fail'

type CheckCategory = 'machine' | 'network' | 'engine' | 'images' | 'ports'

/** How something is mended: a sentence, and commands that `--fix` can offer one by one. */
export interface Remedy {
  readonly text: string
  readonly commands: readonly (readonly string[])[]
}

/** What was found, as data: JSON prints it as it is. */
export interface Check extends Finding {
  readonly category: CheckCategory
  readonly name: string
}

export interface Finding {
  readonly status: CheckStatus
  readonly message: string
  readonly fix?: Remedy
  readonly link?: string
  readonly details?: readonly string[]
}

/** One thing that is looked at. `look` answers null where there is nothing to judge. */
export interface CheckDefinition {
  readonly category: CheckCategory
  readonly name: string
  /** `up` cannot work where this one fails. */
  readonly blocking?: boolean
  readonly look: (context: DoctorContext) => Promise<Finding | null>
}

/** What the engine tells about itself (`docker info`), as far as it is judged. */
export interface EngineInfo {
  readonly Driver?: string
  readonly DockerRootDir?: string
  readonly MemTotal?: number
  readonly NCPU?: number
  readonly OperatingSystem?: string
  readonly KernelVersion?: string
  readonly CgroupVersion?: string
  readonly HttpProxy?: string
  readonly HttpsProxy?: string
  readonly IndexServerAddress?: string
  readonly Warnings?: readonly string[] | null
}

/** What each check gets; the engine is asked once for all. */
export interface DoctorContext extends DoctorOptions {
  readonly endpoint: () => Promise<EngineEndpoint>
  readonly answer: () => Promise<EngineAnswer>
  readonly components: () => Promise<Readonly<Record<Component, Presence>>>
  /** Null where the engine does not answer. */
  readonly info: () => Promise<EngineInfo | null>
  /** Null where nobody can ask. */
  readonly registry: () => Promise<RegistryAnswer | null>
}

interface RegistryAnswer {
  readonly host: string
  readonly answers: boolean
  readonly why: string
}

export interface DoctorOptions {
  readonly env: Environment
  readonly signal: AbortSignal
  /** devstack's own version, for the report. */
  readonly version: string
  /** The ports that the project publishes. */
  readonly ports: readonly { readonly service: string; readonly hostIp: string; readonly port: number }[]
  /** The stack runs in a cluster on this machine: its tools and what its nodes take are looked at too. */
  readonly cluster?: boolean
  /** Our own stack is up: it owns those ports, and they are not judged. */
  readonly stackIsUp: boolean
  /** Asks the image registry through the engine; null where nobody can. */
  readonly probeRegistry: ((signal: AbortSignal) => Promise<RegistryAnswer>) | null
  /** An image to try a container with; null takes any of our own. */
  readonly probeImage: string | null
  /** Only what `up` cannot do without. */
  readonly blockingOnly?: boolean
  /** Each check as soon as it is judged. */
  readonly onCheck?: (check: Check) => void
}

export function pass(message: string, details?: readonly string[]): Finding {
  return details === undefined ? { status: 'pass', message } : { status: 'pass', message, details }
}

export function warning(message: string, fix?: Remedy): Finding {
  return fix === undefined ? { status: 'warning', message } : { status: 'warning', message, fix }
}

export function fail(message: string, fix?: Remedy): Finding {
  return fix === undefined ? { status: 'fail', message } : { status: 'fail', message, fix }
}

export function remedy(text: string, ...commands: readonly (readonly string[])[]): Remedy {
  return { text, commands }
}

export function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}
