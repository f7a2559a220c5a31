import type { Problem, SourcePosition } from './error.js'
import { listAt, nameOf, own, textAt, valueAt } from './kubernetes-objects.js'
import type { Findings } from './kubernetes-objects.js'
import type { ContainerSource, WorkloadSource } from './kubernetes-workloads.js'
import type { Build, Service, WatchRule } from './project.js'
import { didYouMean } from './suggest.js'
import { isWithin } from './update.js'
import { readRules } from './watch.js'
import type { RuleSource, WatchEntry } from './watch.js'

/** What is written about services beside the manifests. */
export interface Beside {
  /** Absolute path of the project's folder. */
  readonly folder: string
  /** The services of the Compose project of the same folder: one of the same name lends its build, rules and preset. */
  readonly compose?: Readonly<Record<string, Service>>
  /** By service: `services.NAME.watch` of devstack.yaml, where the Compose project does not hold it already. */
  readonly watch?: Readonly<Record<string, readonly WatchEntry[]>>
  /** By service: what its preset supplies, paths absolute; only for services without a rule of their own. */
  readonly presetWatch?: Readonly<Record<string, readonly WatchEntry[]>>
  /** By service: its preset in devstack.yaml. */
  readonly presets?: Readonly<Record<string, string>>
  /** Absolute paths of more folders that belong to the project. */
  readonly roots?: readonly string[]
  /** Where a key of devstack.yaml is written. */
  readonly locateConfig?: (path: readonly (string | number)[]) => SourcePosition | null
}

/** The rules of a container: those of the Compose service of its name and those of devstack.yaml, else its preset's. */
export function rulesOf(
  workload: WorkloadSource,
  part: ContainerSource,
  build: Build | null,
  beside: Beside,
  findings: Findings,
): readonly WatchRule[] {
  const { service } = part
  const lent = own(beside.compose, service)?.watch ?? []
  const sources: readonly RuleSource[] = [
    {
      entries: own(beside.watch, service) ?? [],
      folder: beside.folder,
      at: (index, key) => beside.locateConfig?.(['services', service, 'watch', index, ...key]) ?? null,
    },
    { entries: own(beside.presetWatch, service) ?? [], folder: beside.folder, at: () => null },
  ]
  const written = sources.filter((source, index) => index === 0 || hasNoRules(lent, sources))
  const roots = [...(beside.roots ?? []), beside.folder, ...(build === null ? [] : [build.context])]
  const read = readRules({ service, binds: [], roots }, written)
  findings.problems.push(...read.problems)
  findings.warnings.push(...read.warnings)
  const rules = [...lent, ...read.rules.filter((rule) => !lent.some((one) => sameRule(one, rule)))]
  return rules.filter((rule) => isDeliverable(rule, workload, part, findings))
}

function hasNoRules(lent: readonly WatchRule[], sources: readonly RuleSource[]): boolean {
  return lent.length === 0 && (sources[0]?.entries.length ?? 0) === 0
}

/** The two may come from the same line of devstack.yaml. */
function sameRule(one: WatchRule, other: WatchRule): boolean {
  return JSON.stringify({ ...one, at: null }) === JSON.stringify({ ...other, at: null })
}

/** Volumes that the kubelet fills, and writes over. */
const FILLED: readonly string[] = ['configMap', 'secret', 'projected', 'downwardAPI']

/** A rule for what lies in a ConfigMap would never do anything. */
function isDeliverable(
  rule: WatchRule,
  { object, spec }: WorkloadSource,
  part: ContainerSource,
  findings: Findings,
): boolean {
  const { target } = rule
  if (target === null) return true
  const mounts = listAt(part.fields, ['volumeMounts'])
  const index = mounts.findIndex((mount) => {
    const path = textAt(mount, ['mountPath'])
    return path !== null && isWithin(path, target) && isFilled(mount, spec)
  })
  if (index === -1) return true
  const volume = textAt(mounts[index], ['name']) ?? ''
  const what = `${rule.action} to ${target} does nothing for ${part.service}: ${nameOf(object)} mounts the volume "${volume}" there`
  const hint = 'what is in it comes from the cluster: change the manifests instead, or mount it elsewhere'
  findings.warning(object, [...part.path, 'volumeMounts', index, 'mountPath'], what, hint)
  return false
}

function isFilled(mount: unknown, spec: unknown): boolean {
  if (valueAt(mount, ['readOnly']) === true) return true
  const name = textAt(mount, ['name'])
  const volume = listAt(spec, ['volumes']).find((one) => textAt(one, ['name']) === name)
  return FILLED.some((kind) => valueAt(volume, [kind]) !== undefined)
}

/** What is said about a service that no engine has would be dropped in silence. */
export function unknownServices(services: readonly string[], beside: Beside): readonly Problem[] {
  const known = [...new Set([...services, ...Object.keys(beside.compose ?? {})])]
  const named = new Set([...Object.keys(beside.watch ?? {}), ...Object.keys(beside.presets ?? {})])
  return [...named]
    .filter((name) => !known.includes(name))
    .map((name) => ({
      message: `devstack.yaml names the unknown service "${name}"`,
      at: beside.locateConfig?.(['services', name]) ?? null,
      hint: didYouMean(name, known) ?? `services: ${known.join(', ')}`,
    }))
}
