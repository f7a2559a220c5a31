import type { Problem } from './error.js'
import { readAddresses } from './kubernetes-addresses.js'
import type { LocalAddress } from './kubernetes-addresses.js'
import { ends, readDependencies } from './kubernetes-dependencies.js'
import { asManifestObject, Findings, own, textAt, valueAt } from './kubernetes-objects.js'
import type { LocateObject, ManifestObject } from './kubernetes-objects.js'
import { checkReferences } from './kubernetes-references.js'
import { rulesOf, unknownServices } from './kubernetes-watch.js'
import type { Beside } from './kubernetes-watch.js'
import { findWorkloads } from './kubernetes-workloads.js'
import type { ContainerSource, Workload, WorkloadSource } from './kubernetes-workloads.js'
import type { Build, Dependency, EngineKind, Project, Service } from './project.js'

export type { LocalAddress } from './kubernetes-addresses.js'
export type { LocateObject, ManifestObject } from './kubernetes-objects.js'
export type { Workload } from './kubernetes-workloads.js'

/** What the manifests themselves do not say. */
export interface KubernetesContext extends Beside {
  readonly name: string
  readonly engine: EngineKind
  /** Absolute paths of the files that the objects were read from. */
  readonly files: readonly string[]
  /** Names of the annotations that manifests may carry. */
  readonly annotations: {
    /** On a workload or its template: JSON, service -> condition. */
    readonly dependsOn: string
    /** On a Service: the port of 127.0.0.1 that leads to it. */
    readonly localPort: string
  }
  /** By image of the manifests: the reference after the image choice, where it is another one. */
  readonly images?: Readonly<Record<string, string>>
  /** By service: the hash of its pods' template as it is applied. */
  readonly configHashes?: Readonly<Record<string, string>>
  readonly locate?: LocateObject
}

export interface KubernetesProject {
  readonly project: Project
  readonly workloads: readonly Workload[]
  /** The Services behind the project's published ports. */
  readonly addresses: readonly LocalAddress[]
  /** What makes no sense. */
  readonly problems: readonly Problem[]
  /** What works, but hardly as it was meant. */
  readonly warnings: readonly Problem[]
}

/**
 * The objects of manifests as the core's {@link Project}: a service is a container of a workload, named after the workload
 * where that has one container. Pure, and throws nothing whatever the objects are.
 */
export function projectFromKubernetes(
  values: readonly unknown[],
  context: KubernetesContext,
): KubernetesProject {
  const findings = new Findings(context.locate)
  const objects = values.flatMap((value): readonly ManifestObject[] => {
    const object = asManifestObject(value)
    if (object !== null) return [object]
    findings.problems.push({ message: 'an object without apiVersion, kind and name', at: null, hint: null })
    return []
  })
  const sources = findWorkloads(objects, findings)
  const { dependsOn, localPort } = context.annotations
  const dependencies = readDependencies(sources, dependsOn, findings)
  const addresses = readAddresses(objects, sources, localPort, findings)
  checkReferences(objects, findings)
  const services = sources.flatMap((source) =>
    source.parts.map((part): [string, Service] => {
      const needs = own(dependencies, part.service) ?? []
      return [part.service, toService(source, part, needs, addresses, context, findings)]
    }),
  )
  findings.problems.push(
    ...unknownServices(
      services.map(([name]) => name),
      context,
    ),
  )
  const { name, engine, folder, files } = context
  return {
    project: { name, engine, folder, files, services: Object.fromEntries(services) },
    workloads: sources.map(toWorkload),
    addresses,
    problems: findings.problems,
    warnings: findings.warnings,
  }
}

function toWorkload({ kind, name, label, replicas, services, containers, at }: WorkloadSource): Workload {
  return { kind, name, label, replicas, services, containers, at }
}

function toService(
  source: WorkloadSource,
  part: ContainerSource,
  dependsOn: readonly Dependency[],
  addresses: readonly LocalAddress[],
  context: KubernetesContext,
  findings: Findings,
): Service {
  const { service: name, fields, path } = part
  const image = textAt(fields, ['image'])
  if (image === null) findings.problem(source.object, path, `the container of ${name} has no image`, null)
  const build = buildOf(name, image, context)
  const lent = own(context.compose, name)
  return {
    name,
    image: own(context.images, image ?? '') ?? image ?? '',
    build,
    dependsOn,
    hasHealthCheck: ['readinessProbe', 'startupProbe'].some((probe) => valueAt(fields, [probe]) != null),
    oneShot: !part.sidecar && ends(source),
    ports: addresses.filter(({ service }) => service === name).map(({ port }) => port),
    watch: rulesOf(source, part, build, context, findings),
    binds: [],
    preset: own(context.presets, name) ?? lent?.preset ?? null,
    profiles: [],
    // A sidecar is started again whatever its pod's policy says.
    restarts: part.sidecar || restarts(source),
    replicas: source.replicas,
    ...(source.services.length > 1 ? { sharesPodWith: source.services.filter((one) => one !== name) } : {}),
    configHash: own(context.configHashes, name) ?? '',
    at: findings.at(source.object, path),
  }
}

/** The build of the Compose service of the same name, else of one that makes the same image. */
function buildOf(name: string, image: string | null, { compose }: KubernetesContext): Build | null {
  const lent = own(compose, name)
  if (lent !== undefined) return lent.build
  return Object.values(compose ?? {}).find((one) => one.build !== null && one.image === image)?.build ?? null
}

/** The kubelet starts it again: always, or after a failure. */
function restarts({ spec }: WorkloadSource): boolean {
  return spec['restartPolicy'] !== 'Never'
}
