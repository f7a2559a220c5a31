import type { ServiceExtension } from '../../../core/compose.js'
import type { Problem, SourcePosition } from '../../../core/error.js'
import type { Path, YamlSource } from '../../../core/yaml.js'

/** The environment: what `${NAME}` stands for. */
export type Environment = Readonly<Record<string, string | undefined>>

export interface SourceRequest {
  /** Absolute paths of the Compose files, in the order of merging. */
  readonly files: readonly string[]
  /** Wins over the `.env` files. */
  readonly env: Environment
  /** Absolute paths of the `.env` files. */
  readonly envFiles: readonly string[]
  /** Active profiles; none: those of COMPOSE_PROFILES. */
  readonly profiles: readonly string[]
  /** What relative paths start from; default: the folder of the first file. */
  readonly projectDirectory?: string
}

export interface ExplainRequest extends SourceRequest {
  /** What Compose said: shown, and located as far as possible, where the check of our own finds nothing. */
  readonly composeMessage?: string
}

/** `config`: Compose refuses the files. `up`: Compose reads them, and fails when it creates or builds. */
export type Stage = 'config' | 'up'

export interface SourceProblem extends Problem {
  readonly stage: Stage
}

export interface Explanation {
  /** Every problem, in the order of the files' lines. */
  readonly problems: readonly SourceProblem[]
  /** Variables without a value, each at its first place. */
  readonly warnings: readonly Problem[]
  readonly locate: (path: Path) => SourcePosition | null
}

/** The Compose files as they are written, with what they include and extend. */
export interface ComposeSources {
  /** What keeps files from being read: syntax, size, a missing include. */
  readonly problems: readonly SourceProblem[]
  /** Variables without a value, each at its first place. */
  readonly unset: readonly Problem[]
  /** Where a key is written: the last file that has it whole, else the deepest part of it that any file has. */
  readonly locate: (path: Path) => SourcePosition | null
  /** Every service, those of inactive profiles too. */
  readonly services: readonly string[]
  /** By service: its `x-devstack`, which `docker compose config --format json` leaves out. */
  readonly extensions: Readonly<Record<string, ServiceExtension>>
  /** Absolute paths of what was read or is named: compose files, env files; also those that are not there. */
  readonly inputs: readonly string[]
}

export type YamlMap = Readonly<Record<string, unknown>>

/** One YAML document of a file, its variables replaced. */
export interface ComposeDocument {
  readonly source: YamlSource
  readonly value: unknown
  /** What relative paths in it start from. */
  readonly folder: string
  /** True where the value of `key` in `owner` came from a variable, so that its text may stand for a number. */
  readonly isReplaced: (owner: object, key: string | number) => boolean
}

/** A part of a service or of another definition, as one document writes it. */
export interface Body {
  /** Empty where something else than a map is written. */
  readonly value: YamlMap
  /** True where a map is written. */
  readonly written: boolean
  readonly path: Path
  readonly document: ComposeDocument
}

export const KINDS = ['networks', 'volumes', 'secrets', 'configs'] as const

export type Kind = (typeof KINDS)[number]

export interface LoadedSources {
  /** Checked whole against the schema, in the order of merging. */
  readonly documents: readonly ComposeDocument[]
  /** Services of other files that are extended: only these parts are checked. */
  readonly bases: readonly Body[]
  /** By service: its parts, a later one over an earlier one. */
  readonly services: ReadonlyMap<string, readonly Body[]>
  readonly definitions: Readonly<Record<Kind, ReadonlyMap<string, readonly Body[]>>>
  readonly problems: readonly SourceProblem[]
  readonly unset: readonly Problem[]
  /** The environment over the values of the `.env` files. */
  readonly environment: Environment
  /** Absolute paths of every file that was, or was to be, read. */
  readonly read: readonly string[]
  /** False where a file could not be read: what it defines is not known, so nothing is called undefined. */
  readonly complete: boolean
}

export function isMap(value: unknown): value is YamlMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A plain value as text; a map or a list, which is the schema's to tell, as none. */
export function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : ''
}

/** The place of a key of a body. */
export function placeOf(body: Body, path: Path, part: 'key' | 'value' = 'value'): SourcePosition {
  return body.document.source.locate([...body.path, ...path], part)
}
