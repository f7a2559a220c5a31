import { listAt, nameOf, own, textAt, valueAt } from '../../../core/kubernetes-objects.js'
import type { Fields, Findings, ManifestObject } from '../../../core/kubernetes-objects.js'
import type { Path } from '../../../core/yaml.js'
import type { CommandOverride } from '../../compose/options.js'
import type { Decisions, ImageDecision } from './decisions.js'
import { GATE_MOUNTS, isGateVolume, throughGate, withoutGate } from './gate.js'
import type { PodCommand } from './gate.js'

/** A container as it is applied. */
export interface AppliedContainer {
  readonly fields: Fields
  readonly gated: boolean
}

export interface ContainerRequest {
  readonly object: ManifestObject
  readonly path: Path
  readonly fields: Fields
  /** Null for an init container that ends. */
  readonly service: string | null
  /** Whether it may have a gate: not where the other containers of its pod wait for it to start. */
  readonly mayWait: boolean
}

/** A container with its image, its command and its gate as decided. */
export function applyContainer(
  request: ContainerRequest,
  decisions: Decisions,
  findings: Findings,
): AppliedContainer {
  const { fields } = request
  const image = findImage(textAt(fields, ['image']), decisions)
  const run = runOf(request, image, decisions, findings)
  const { command: _command, args: _args, volumeMounts: _mounts, ...rest } = fields
  const mounts = mountsOf(fields, run.gated)
  return {
    fields: {
      ...rest,
      ...(image === null ? {} : { image: image.ref, imagePullPolicy: image.pullPolicy }),
      ...run.fields,
      ...(mounts.length === 0 ? {} : { volumeMounts: mounts }),
      ...ports(request, findings),
      ...writableRoot(request, decisions, findings),
    },
    gated: run.gated,
  }
}

/** What the container runs, and whether it goes through the gate to it. */
function runOf(
  { object, path, fields, service, mayWait }: ContainerRequest,
  image: ImageDecision | null,
  decisions: Decisions,
  findings: Findings,
): AppliedContainer {
  const written = Object.fromEntries(
    ['command', 'args'].flatMap((key) => (fields[key] == null ? [] : [[key, fields[key]]])),
  )
  // The server says what is wrong with it.
  if (!Object.values(written).every(isWords)) return { fields: written, gated: false }
  const override = service === null ? null : (own(decisions.commands, service) ?? null)
  const command = overridden(podCommand(fields), override)
  if (service === null || !mayWait || !decisions.gate(service))
    return { fields: commandFields(command), gated: false }
  const whole = wholeCommand(command, override, image)
  if (whole === null) {
    const hint = 'write its command into the manifest'
    const what = `${service} starts before its files are level: what its image runs is not known`
    findings.warning(object, path, what, hint)
    return { fields: commandFields(command), gated: false }
  }
  const container = textAt(fields, ['name']) ?? ''
  return { fields: commandFields(throughGate(container, whole)), gated: true }
}

function commandFields({ command, args }: PodCommand): Fields {
  return { ...(command === null ? {} : { command }), ...(args === null ? {} : { args }) }
}

/** Also one that was replaced before. */
export function findImage(name: string | null, { images }: Decisions): ImageDecision | null {
  if (name === null) return null
  return own(images, name) ?? Object.values(images).find(({ ref }) => ref === name) ?? null
}

/** What a manifest says that a container runs. */
export function podCommand(fields: Fields): PodCommand {
  return withoutGate({ command: words(fields['command']), args: words(fields['args']) })
}

function words(value: unknown): readonly string[] | null {
  return isWords(value) && value.length > 0 ? value : null
}

function isWords(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((word) => typeof word === 'string')
}

/** As Compose does: an entrypoint alone drops the command. */
function overridden(own: PodCommand, override: CommandOverride | null): PodCommand {
  if (override === null) return own
  if (override.entrypoint !== undefined) {
    return { command: override.entrypoint, args: override.command ?? null }
  }
  return override.command === undefined ? own : { ...own, args: override.command }
}

/** All that a container runs, also what its image adds; null where that is not known, or nothing. */
function wholeCommand(
  own: PodCommand,
  override: CommandOverride | null,
  image: ImageDecision | null,
): PodCommand | null {
  if (own.command !== null) return own
  const config = image?.config ?? null
  if (config === null) return null
  const command = config.entrypoint.map(unexpanded)
  const args = own.args ?? (override?.entrypoint === undefined ? config.command.map(unexpanded) : [])
  return command.length + args.length === 0 ? null : { command, args }
}

/** In a pod `$(NAME)` is replaced and `$$` is one sign; in an image both stand for themselves. */
function unexpanded(word: string): string {
  return word.replaceAll('$', '$$$$')
}

function mountsOf(fields: Fields, gated: boolean): readonly unknown[] {
  const kept = listAt(fields, ['volumeMounts']).filter((mount) => !isGateVolume(textAt(mount, ['name'])))
  return gated ? [...kept, ...GATE_MOUNTS] : kept
}

/** A port of the node can be had once, and other worktrees are on the node too. */
function ports({ object, path, fields }: ContainerRequest, findings: Findings): Fields {
  const list = listAt(fields, ['ports'])
  if (list.length === 0) return {}
  const changed = list.map((port, index) => {
    if (valueAt(port, ['hostPort']) === undefined) return port
    const what = `${nameOf(object)} gets no port of the node (hostPort): another worktree may have it`
    const hint = 'publish it with a Service'
    findings.warning(object, [...path, 'ports', index, 'hostPort'], what, hint)
    const { hostPort: _port, hostIP: _ip, ...rest } = port as Fields
    return rest
  })
  return { ports: changed }
}

/** What is saved could not be delivered into a file system that nobody may write to. */
function writableRoot(
  { object, path, fields, service }: ContainerRequest,
  { watched }: Decisions,
  findings: Findings,
): Fields {
  const key: Path = ['securityContext', 'readOnlyRootFilesystem']
  if (service === null || !watched.has(service) || valueAt(fields, key) !== true) return {}
  const what = `${service} gets a writable root file system here: the files that are saved are delivered into it`
  findings.warning(object, [...path, ...key], what, null)
  return { securityContext: { ...(fields['securityContext'] as Fields), readOnlyRootFilesystem: false } }
}
