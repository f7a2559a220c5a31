import type { Health, Instance, InstanceState, ObservedState } from '../../core/project.js'
import { isNotFound, labelFilter } from './docker.js'
import type { Docker } from './docker.js'
import { indexImages } from './image-index.js'
import type { ImageIndex } from './image-index.js'
import { isInstance, isLeftOver, LABEL } from './labels.js'
import type { EngineContext } from './options.js'

/** A container as the list call tells it. */
export interface ListedContainer {
  readonly Id: string
  readonly Names: readonly string[]
  readonly State: string
  readonly Labels: Readonly<Record<string, string>>
  readonly Ports: readonly { readonly PublicPort?: number; readonly Type: string; readonly IP?: string }[]
}

/** A container as the inspect call tells it. */
export interface InspectedContainer {
  readonly Id: string
  readonly Name: string
  /** Id of its image. */
  readonly Image: string
  readonly RestartCount: number
  readonly State: {
    readonly Status: string
    readonly Running: boolean
    readonly Restarting: boolean
    readonly OOMKilled: boolean
    readonly ExitCode: number
    readonly StartedAt: string
    readonly Health?: {
      readonly Status: string
      readonly Log?: readonly { readonly Output: string }[] | null
    } | null
  }
  readonly Config: {
    readonly Image: string
    readonly User: string
    readonly Tty: boolean
    /** Seconds; not there where the service names none. */
    readonly StopTimeout?: number | null
    readonly Labels: Readonly<Record<string, string>>
  }
  readonly HostConfig: {
    readonly RestartPolicy: { readonly Name: string }
    readonly ReadonlyRootfs?: boolean
  }
  readonly Mounts: readonly {
    readonly Type: string
    readonly Source: string
    readonly Destination: string
    readonly RW?: boolean
  }[]
}

/** What runs of the project now: one list of containers, one of images, one inspect a container. */
export async function observe(context: EngineContext, signal: AbortSignal): Promise<ObservedState> {
  const { docker, options } = context
  const [containers, present] = await Promise.all([
    listContainers(docker, options.projectName, signal),
    context.images.engine.images(signal),
  ])
  const images = indexImages(present)
  const inspected = await Promise.all(containers.map(({ Id }) => inspect(docker, Id, signal)))
  const instances = inspected
    .filter((container) => container !== null)
    .map((container) => toInstance(container, images))
    .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
  return { instances }
}

/** The containers of a project's services, whatever their state. */
export async function listContainers(
  docker: Docker,
  project: string,
  signal: AbortSignal,
): Promise<readonly ListedContainer[]> {
  const filters = labelFilter(`${LABEL.project}=${project}`)
  const all = await docker.get<readonly ListedContainer[]>('/containers/json', { all: true, filters }, signal)
  return all.filter(({ Labels }) => isInstance(Labels))
}

/** Null where it is gone by now. */
export async function inspect(
  docker: Docker,
  id: string,
  signal: AbortSignal,
): Promise<InspectedContainer | null> {
  try {
    return await docker.get<InspectedContainer>(`/containers/${encodeURIComponent(id)}/json`, {}, signal)
  } catch (error) {
    if (isNotFound(error)) return null
    throw error
  }
}

/** `images` null: the wanted image is taken to be the present one, for a caller that does not compare. */
export function toInstance(container: InspectedContainer, images: ImageIndex | null): Instance {
  const { State: state, Config: config } = container
  const name = container.Name.replace(/^\//, '')
  const ended = state.Status === 'exited' || state.Status === 'dead'
  const own = images?.find(container.Image)
  return {
    id: container.Id,
    service: config.Labels[LABEL.service] ?? '',
    name,
    // What a killed recreation left is no more than a dead container: it is removed, or renamed, by the next creation.
    state: isLeftOver(name) ? 'dead' : toState(state.Status),
    health: toHealth(state.Health?.Status),
    exitCode: ended ? state.ExitCode : null,
    oomKilled: state.OOMKilled,
    restarts: container.RestartCount,
    startedAt: state.StartedAt.startsWith('0001-') ? null : state.StartedAt,
    configHash: config.Labels[LABEL.configHash] ?? '',
    imageId: container.Image,
    wantedImageId: images === null ? container.Image : (images.find(config.Image)?.id ?? null),
    buildHash: own?.labels[LABEL.build] ?? config.Labels[LABEL.build] ?? null,
  }
}

function toState(status: string): InstanceState {
  switch (status) {
    case 'created':
    case 'running':
    case 'paused':
    case 'restarting':
    case 'exited':
    case 'dead':
      return status
    default:
      // `removing`
      return 'dead'
  }
}

/** The engine's health words; anything else is none. */
export function toHealth(status: string | undefined): Health {
  return status === 'healthy' || status === 'unhealthy' || status === 'starting' ? status : 'none'
}
