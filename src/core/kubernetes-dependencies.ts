import type { Findings } from './kubernetes-objects.js'
import { isFields, listAt, nameOf, textsAt, valueAt } from './kubernetes-objects.js'
import type { WorkloadSource } from './kubernetes-workloads.js'
import type { Dependency, DependencyCondition } from './project.js'
import { didYouMean } from './suggest.js'
import type { Path } from './yaml.js'

const conditions: readonly string[] = [
  'service_started',
  'service_healthy',
  'service_completed_successfully',
] satisfies DependencyCondition[]

const EXAMPLE = `write it as '{"postgres": "service_healthy"}'`

/**
 * By service: what its pods wait for, from the annotation `key` of its workload or of the pods' template, as Compose's
 * `depends_on` in JSON. A pod starts as a whole, so all services in it wait for the same.
 */
export function readDependencies(
  workloads: readonly WorkloadSource[],
  key: string,
  findings: Findings,
): Readonly<Record<string, readonly Dependency[]>> {
  const read = new Map(
    workloads.map((workload) => [workload, ofWorkload(workload, workloads, key, findings)]),
  )
  checkCircles(read, key, findings)
  return Object.fromEntries(
    workloads.flatMap((workload) =>
      workload.services.map((service) => [service, read.get(workload)?.list ?? []] as const),
    ),
  )
}

interface Written {
  readonly list: readonly Dependency[]
  /** Of the annotation that was read last. */
  readonly path: Path
}

function ofWorkload(
  workload: WorkloadSource,
  all: readonly WorkloadSource[],
  key: string,
  findings: Findings,
): Written {
  const { object, specPath } = workload
  const template: Path = [...specPath.slice(0, -1), 'metadata', 'annotations', key]
  const own: Path = ['metadata', 'annotations', key]
  const places = new Map([
    [JSON.stringify(own), { path: own, text: textsAt(object, ['metadata', 'annotations'])[key] }],
    [JSON.stringify(template), { path: template, text: workload.annotations[key] }],
  ])
  const found = new Map<string, Dependency>()
  let last = own
  for (const { path, text } of places.values()) {
    if (text === undefined) continue
    last = path
    for (const dependency of parse(workload, all, text, path, findings))
      found.set(dependency.service, dependency)
  }
  return { list: [...found.values()], path: last }
}

function parse(
  workload: WorkloadSource,
  all: readonly WorkloadSource[],
  text: string,
  path: Path,
  findings: Findings,
): readonly Dependency[] {
  const what = `${nameOf(workload.object)}: what it depends on`
  const value = parseJson(text)
  if (!isFields(value) && !Array.isArray(value)) {
    findings.problem(workload.object, path, `${what} is not JSON`, EXAMPLE)
    return []
  }
  const entries: readonly (readonly [unknown, unknown])[] = Array.isArray(value)
    ? value.map((name: unknown) => [name, 'service_started'])
    : Object.entries(value)
  return entries.flatMap(([key, wanted]) => {
    const name = typeof key === 'string' ? key : JSON.stringify(key)
    const required = isFields(wanted) ? wanted['required'] !== false : true
    const condition = isFields(wanted) ? (wanted['condition'] ?? 'service_started') : wanted
    const services = servicesNamed(name, all)
    const told = tell(workload, name, services, condition, all)
    // As with Compose, what need not be there holds nothing where it is not.
    if (told !== null && services.length === 0 && !required) return []
    if (told !== null) {
      findings.problem(workload.object, path, `${nameOf(workload.object)} ${told.message}`, told.hint)
      return []
    }
    return services.map(({ service }) => ({
      service,
      condition: condition as DependencyCondition,
      required,
    }))
  })
}

interface Named {
  readonly service: string
  readonly workload: WorkloadSource
}

/** A service, or all of a workload's. */
function servicesNamed(name: string, all: readonly WorkloadSource[]): readonly Named[] {
  const owner = all.find(({ services }) => services.includes(name))
  if (owner !== undefined) return [{ service: name, workload: owner }]
  const workload = all.find((one) => one.name === name)
  return workload?.services.map((service) => ({ service, workload })) ?? []
}

function tell(
  workload: WorkloadSource,
  name: string,
  services: readonly Named[],
  condition: unknown,
  all: readonly WorkloadSource[],
): { readonly message: string; readonly hint: string | null } | null {
  if (services.length === 0) {
    const known = all.flatMap((one) => one.services)
    const hint = didYouMean(name, known) ?? `services: ${known.join(', ')}`
    return { message: `depends on the unknown service "${name}"`, hint }
  }
  if (typeof condition !== 'string' || !conditions.includes(condition)) {
    const written = typeof condition === 'string' ? condition : (JSON.stringify(condition) ?? 'none')
    const hint = didYouMean(written, conditions) ?? `one of ${conditions.join(', ')}`
    return { message: `depends on ${name} with the unknown condition "${written}"`, hint }
  }
  if (services.some((one) => one.workload === workload)) {
    return {
      message: `depends on ${name}, which is in its own pod: the two start together`,
      hint: 'take it out, or give it a pod of its own',
    }
  }
  const endless = services.find((one) => !ends(one.workload))
  if (condition === 'service_completed_successfully' && endless !== undefined) {
    return {
      message: `waits for ${name} to end, but a ${endless.workload.kind} does not`,
      hint: 'wait for service_healthy, or make it a Job',
    }
  }
  return null
}

/**
 * Whether pods are expected to end: those of a Job, and bare ones that are not started again after success. One that serves
 * something, by a port or a readiness probe, is expected to go on.
 */
export function ends({ object, spec }: Pick<WorkloadSource, 'object' | 'spec'>): boolean {
  if (object.kind === 'Job') return true
  const policy = spec['restartPolicy']
  const serves = listAt(spec, ['containers']).some(
    (container) => listAt(container, ['ports']).length > 0 || valueAt(container, ['readinessProbe']) != null,
  )
  return object.kind === 'Pod' && !serves && (policy === 'Never' || policy === 'OnFailure')
}

/** Two workloads that wait for each other would wait for ever. */
function checkCircles(read: ReadonlyMap<WorkloadSource, Written>, key: string, findings: Findings): void {
  const done = new Set<WorkloadSource>()
  const owner = new Map([...read.keys()].flatMap((one) => one.services.map((name) => [name, one] as const)))
  const visit = (workload: WorkloadSource, chain: readonly WorkloadSource[]): void => {
    const from = chain.indexOf(workload)
    if (from !== -1) {
      const loop = [...chain.slice(from), workload].map(({ name }) => name).join(' -> ')
      const path = read.get(workload)?.path ?? []
      findings.problem(workload.object, path, `workloads wait for each other: ${loop}`, `see ${key}`)
      return
    }
    if (done.has(workload)) return
    for (const { service } of read.get(workload)?.list ?? []) {
      const next = owner.get(service)
      if (next !== undefined) visit(next, [...chain, workload])
    }
    done.add(workload)
  }
  for (const workload of read.keys()) visit(workload, [])
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
