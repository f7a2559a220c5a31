import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, parseAllDocuments } from 'yaml'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** As far as these tests read an object: all of it may be absent. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Record<string, string>
    readonly annotations?: Record<string, string>
  }
  readonly spec?: {
    readonly replicas?: number
    readonly selector?: Record<string, string> & { readonly matchLabels?: Record<string, string> }
    readonly template?: { readonly metadata?: { labels?: Record<string, string> }; readonly spec: PodSpec }
    readonly ports?: readonly { port: number; targetPort?: string; nodePort?: number }[]
    readonly type?: string
    readonly volumeClaimTemplates?: readonly {
      metadata: { name: string }
      spec: { storageClassName?: string }
    }[]
  }
}

export interface PodSpec {
  readonly automountServiceAccountToken?: boolean
  readonly containers: readonly Container[]
  readonly enableServiceLinks?: boolean
  readonly hostNetwork?: boolean
  readonly initContainers?: readonly Container[]
  readonly securityContext?: SecurityContext
  readonly volumes?: readonly { name: string; emptyDir?: unknown }[]
}

export interface Container {
  readonly name: string
  readonly image?: string
  readonly imagePullPolicy?: string
  readonly command?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: readonly { name: string; value?: string; valueFrom?: { secretKeyRef?: { name: string } } }[]
  readonly envFrom?: readonly { configMapRef?: { name: string }; secretRef?: { name: string } }[]
  readonly ports?: readonly { name: string; containerPort: number }[]
  readonly startupProbe?: Probe
  readonly readinessProbe?: Probe
  readonly livenessProbe?: Probe
  readonly lifecycle?: unknown
  readonly resources?: {
    readonly limits?: Record<string, string>
    readonly requests?: Record<string, string>
  }
  readonly securityContext?: SecurityContext
  readonly volumeMounts?: readonly { name: string; mountPath: string; readOnly?: boolean }[]
}

export interface Probe {
  readonly exec?: { readonly command: readonly string[] }
  readonly httpGet?: { readonly path: string; readonly port: string }
  readonly tcpSocket?: { readonly port: string }
}

export interface SecurityContext {
  readonly allowPrivilegeEscalation?: boolean
  readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] }
  readonly fsGroup?: number
  readonly privileged?: boolean
  readonly readOnlyRootFilesystem?: boolean
  readonly runAsGroup?: number
  readonly runAsNonRoot?: boolean
  readonly runAsUser?: number
  readonly seccompProfile?: { readonly type: string }
}

/** A container with the pod that it is in, and whether it ends before the others start. */
export interface Placed {
  readonly container: Container
  readonly init: boolean
  readonly owner: Manifest
  readonly pod: PodSpec
}

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

export function readYamlFile(path: string): unknown {
  return parse(readText(path), { merge: true })
}

/** The objects of a folder's files, apart from what only kustomize reads. */
export function readObjects(folder: string): readonly Manifest[] {
  return readdirSync(join(ROOT, folder))
    .filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml')
    .flatMap((file) => parseObjects(readText(join(folder, file))))
}

export function parseObjects(text: string): readonly Manifest[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest)
}

export function containersOf(objects: readonly Manifest[]): readonly Placed[] {
  return objects.flatMap((owner) => {
    const pod = owner.spec?.template?.spec
    if (pod === undefined) return []
    return [
      ...(pod.initContainers ?? []).map((container) => ({ container, init: true, owner, pod })),
      ...pod.containers.map((container) => ({ container, init: false, owner, pod })),
    ]
  })
}

/** What is in force for a container: its own word, else its pod's. */
export function securityOf({ container, pod }: Placed): SecurityContext {
  return { ...pod.securityContext, ...container.securityContext }
}

/** compose.yaml, as far as these tests read it. */
export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>
}

export interface ComposeService {
  readonly build?: unknown
  readonly command?: readonly string[]
  readonly develop?: { readonly watch: readonly { readonly action: string; readonly target?: string }[] }
  readonly environment?: Readonly<Record<string, string>>
  readonly image?: string
  readonly mem_limit: string
  readonly ports?: readonly string[]
}

export const compose = readYamlFile('compose/compose.yaml') as ComposeFile

/** `${NAME:-value}` -> `value` */
export function fallbackOf(text: string): string {
  return text.replace(/\$\{\w+:-([^}]*)\}/g, '$1')
}

/** What kind/base and the local overlay write, each object for itself; patches are in {@link local} alone. */
export const base: readonly Manifest[] = readObjects('kind/base')
export const local: readonly Manifest[] = readObjects('kind/overlays/local')
export const objects: readonly Manifest[] = [
  ...base,
  ...local.filter(({ spec, metadata }) => metadata.name === 'web' && spec !== undefined),
]
export const placed: readonly Placed[] = containersOf(objects)

export function named(name: string): Placed {
  const found = placed.find(({ container }) => container.name === name)
  if (found === undefined) throw new Error(`there is no container ${name}`)
  return found
}

/** What the local overlay changes of a container. */
export function patched(name: string): Container | undefined {
  return containersOf(local).find(({ container }) => container.name === name)?.container
}
