import { isFields, kindOf, listAt, nameOf, textAt, textsAt, valueAt } from './kubernetes-objects.js'
import type { Findings, ManifestObject } from './kubernetes-objects.js'
import type { ContainerSource, WorkloadSource } from './kubernetes-workloads.js'
import type { PublishedPort } from './project.js'
import { didYouMean } from './suggest.js'

/** A Kubernetes Service that is reached at a port of this machine. */
export interface LocalAddress {
  /** The Kubernetes Service. */
  readonly from: string
  /** Labels of the pods that it leads to. */
  readonly selector: Readonly<Record<string, string>>
  /** The service whose container answers. */
  readonly service: string
  readonly port: PublishedPort
}

/** The addresses of the Services that are meant for people: of a type that leaves the cluster, or with the annotation `key`. */
export function readAddresses(
  objects: readonly ManifestObject[],
  workloads: readonly WorkloadSource[],
  key: string,
  findings: Findings,
): readonly LocalAddress[] {
  const holders = new Map<number, ManifestObject>()
  return objects.flatMap((object) => {
    if (kindOf(object) !== 'Service') return []
    const selector = textsAt(object, ['spec', 'selector'])
    if (Object.keys(selector).length === 0) return []
    const selected = workloads.filter((one) => matches(selector, one.labels))
    if (selected.length === 0) {
      tellNobody(object, selector, workloads, findings)
      return []
    }
    return ofService(object, selected, key, findings).filter(({ port: { published } }) => {
      const holder = published === null ? undefined : holders.get(published)
      if (published === null || holder === undefined) {
        if (published !== null) holders.set(published, object)
        return true
      }
      const what = `${nameOf(object)} and ${nameOf(holder)} both want the local port ${String(published)}`
      const path = ['metadata', 'annotations', key]
      findings.problem(object, path, what, `give one of them another ${key}`)
      return false
    })
  })
}

function matches(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value)
}

function tellNobody(
  object: ManifestObject,
  selector: Readonly<Record<string, string>>,
  workloads: readonly WorkloadSource[],
  findings: Findings,
): void {
  const written = Object.entries(selector).map(([key, value]) => `${key}=${value}`)
  const known = workloads.flatMap(({ labels }) =>
    Object.entries(labels).map(([key, value]) => `${key}=${value}`),
  )
  const wrong = written.find((one) => !known.includes(one))
  const hint = wrong === undefined ? null : didYouMean(wrong, new Set(known))
  const what = `${nameOf(object)} leads to no pods: none has ${written.join(', ')}`
  findings.problem(object, ['spec', 'selector'], what, hint)
}

function ofService(
  object: ManifestObject,
  workloads: readonly WorkloadSource[],
  key: string,
  findings: Findings,
): readonly LocalAddress[] {
  const ports = listAt(object, ['spec', 'ports'])
  const wanted = wantedPorts(object, ports, key, findings)
  const isOpen = ['LoadBalancer', 'NodePort'].includes(textAt(object, ['spec', 'type']) ?? '')
  return ports.flatMap((port, index): readonly LocalAddress[] => {
    const own = valueAt(port, ['port'])
    const path = ['spec', 'ports', index]
    if (!isFields(port) || !isPort(own)) return []
    const published = wanted.get(index) ?? (isOpen ? above(own) : null)
    if (published === null) return []
    const protocol = textAt(port, ['protocol']) ?? 'TCP'
    if (protocol !== 'TCP') {
      const what = `port ${String(own)} of ${nameOf(object)} is ${protocol}: only TCP can be forwarded`
      findings.warning(object, [...path, 'protocol'], what, null)
      return []
    }
    const written = port['targetPort']
    const target = typeof written === 'string' || typeof written === 'number' ? written : own
    const end = findEnd(target, workloads)
    if (end === null) {
      const known = workloads.flatMap(({ parts }) => parts.flatMap(portNames))
      const hint =
        didYouMean(String(target), known) ?? `its containers name ${known.join(', ') || 'no ports'}`
      const what = `${nameOf(object)} leads to the port "${String(target)}", which no container has`
      findings.problem(object, [...path, 'targetPort'], what, hint)
      return []
    }
    const selector = textsAt(object, ['spec', 'selector'])
    const local: PublishedPort = { target: end.port, published, hostIp: '127.0.0.1', protocol: 'tcp' }
    return [{ from: object.metadata.name, selector, service: end.service, port: local }]
  })
}

/** Ports below 1024 are the superuser's. */
function above(port: number): number {
  return port < 1024 ? port + 8000 : port
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536
}

/** `8080`, for the first port; `http=8080,admin=9000` by the ports' names. By index in the list of ports. */
function wantedPorts(
  object: ManifestObject,
  ports: readonly unknown[],
  key: string,
  findings: Findings,
): ReadonlyMap<number, number> {
  const wanted = new Map<number, number>()
  const text = textsAt(object, ['metadata', 'annotations'])[key]
  if (text === undefined) return wanted
  const path = ['metadata', 'annotations', key]
  for (const word of text.split(',')) {
    const [, name, digits] = /^\s*(?:([a-z0-9-]+)\s*=\s*)?(\d{1,5})\s*$/.exec(word) ?? []
    if (!isPort(Number(digits))) {
      const what = `${nameOf(object)}: the local port "${word.trim()}" is no port`
      findings.problem(object, path, what, 'a number, or NAME=NUMBER for each of several ports')
      continue
    }
    const names = ports.map((port) => textAt(port, ['name']) ?? '')
    const index = name === undefined ? 0 : names.indexOf(name)
    if (index === -1 || ports.length === 0) {
      const what = `${nameOf(object)} has no port "${name ?? ''}" for the local port ${String(digits)}`
      findings.problem(object, path, what, didYouMean(name ?? '', names) ?? null)
      continue
    }
    wanted.set(index, Number(digits))
  }
  return wanted
}

interface End {
  readonly service: string
  readonly port: number
}

/** The container that answers: the one that names or lists the port, else the first, which most often is the one. */
function findEnd(target: unknown, workloads: readonly WorkloadSource[]): End | null {
  const parts = workloads.flatMap((workload) => workload.parts)
  for (const part of parts) {
    const found = listAt(part.fields, ['ports']).find(
      (port) => valueAt(port, ['containerPort']) === target || valueAt(port, ['name']) === target,
    )
    const port = valueAt(found, ['containerPort'])
    if (isPort(port)) return { service: part.service, port }
  }
  const [first] = parts.filter(({ sidecar }) => !sidecar)
  return first !== undefined && isPort(target) ? { service: first.service, port: target } : null
}

function portNames({ fields }: ContainerSource): readonly string[] {
  return listAt(fields, ['ports']).flatMap((port) => textAt(port, ['name']) ?? [])
}
