import type { BuildPlace } from './options.js'

/** The parts of `docker compose config --format json` that the engine reads. */
export interface ComposeModel {
  readonly name: string
  readonly services?: Readonly<Record<string, ComposeService>>
  readonly volumes?: Readonly<Record<string, ComposeVolume | null>> | null
  readonly networks?: Readonly<Record<string, ComposeNetwork | null>> | null
}

export interface ComposeService {
  readonly image?: string
  readonly build?: ComposeBuild | null
  readonly container_name?: string
  readonly entrypoint?: readonly string[] | null
  readonly command?: readonly string[] | null
  readonly depends_on?: Readonly<Record<string, { readonly condition: string; readonly required?: boolean }>>
  readonly ports?: readonly ComposePort[]
  readonly volumes?: readonly ComposeMount[]
  readonly profiles?: readonly string[]
  readonly restart?: string
  readonly healthcheck?: { readonly disable?: boolean; readonly test?: readonly string[] } | null
  readonly deploy?: {
    readonly replicas?: number
    readonly restart_policy?: { readonly condition?: string }
  } | null
  readonly scale?: number
  readonly develop?: {
    readonly watch?: readonly {
      readonly action: string
      readonly path: string
      readonly target?: string
      readonly ignore?: readonly string[]
      readonly include?: readonly string[]
    }[]
  } | null
  readonly provider?: unknown
  readonly post_start?: readonly unknown[]
  readonly pre_stop?: readonly unknown[]
  readonly stop_grace_period?: string
}

export interface ComposeBuild {
  readonly context: string
  readonly dockerfile?: string
  readonly dockerfile_inline?: string
  readonly target?: string
  readonly args?: Readonly<Record<string, string | null>>
  readonly additional_contexts?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
}

export interface ComposePort {
  readonly name?: string
  readonly mode?: string
  readonly host_ip?: string
  readonly target: number
  /** A port, a range `8080-8090`, or nothing. */
  readonly published?: string
  readonly protocol?: string
  readonly app_protocol?: string
}

interface ComposeMount {
  readonly type: string
  readonly source?: string
  readonly target: string
}

interface ComposeVolume {
  readonly name?: string
  readonly external?: boolean | null
  readonly labels?: Readonly<Record<string, string>>
}

interface ComposeNetwork {
  readonly name?: string
  readonly external?: boolean | null
}

/** The services by name. */
export function servicesOf(model: ComposeModel): Readonly<Record<string, ComposeService>> {
  return model.services ?? {}
}

/** Where a service is built from; null where it is not built. */
export function buildPlaceOf({ build }: ComposeService): BuildPlace | null {
  if (build?.context === undefined) return null
  const { context, dockerfile = 'Dockerfile', target = null } = build
  return { context, dockerfile, target }
}

/** The name of the image that a service's containers run. */
export function imageOf(model: ComposeModel, name: string): string {
  return servicesOf(model)[name]?.image ?? `${model.name}-${name}`
}

/** Compose starts and stops these itself: a provider is not a container, hooks run inside one. */
export function needsComposeLifecycle(service: ComposeService | undefined): boolean {
  if (service === undefined) return false
  return (
    service.provider != null || (service.post_start ?? []).length > 0 || (service.pre_stop ?? []).length > 0
  )
}
