import type { Dependency, Instance, Project, Service, WatchRule } from '../../src/core/project.js'
import { newService } from '../../src/core/reduce.js'
import { initialState, type ServiceState, type StackState } from '../../src/core/state.js'

/** A service that needs `dependsOn` to be healthy. */
export function service(
  name: string,
  dependsOn: readonly string[] = [],
  more: Partial<Service> = {},
): Service {
  return {
    name,
    image: `${name}:1`,
    build: null,
    dependsOn: dependsOn.map((other): Dependency => ({
      service: other,
      condition: 'service_healthy',
      required: true,
    })),
    hasHealthCheck: true,
    oneShot: false,
    ports: [],
    watch: [],
    binds: [],
    preset: null,
    profiles: [],
    restarts: false,
    replicas: 1,
    configHash: `${name}-config`,
    at: null,
    ...more,
  }
}

/** A rule that covers `path` whole. */
export function watchRule(
  action: WatchRule['action'],
  path: string,
  target: string | null,
  more: Partial<WatchRule> = {},
): WatchRule {
  return { action, path, target, ignore: [], include: [], initialSync: false, exec: null, at: null, ...more }
}

export function project(...services: readonly Service[]): Project {
  return {
    name: 'demo',
    engine: 'compose',
    folder: '/demo',
    files: ['/demo/compose.yaml'],
    services: Object.fromEntries(services.map((one) => [one.name, one])),
  }
}

/** A running, healthy container that is as its service wants it. */
export function instance(of: Service, more: Partial<Instance> = {}): Instance {
  return {
    id: `${of.name}-id`,
    service: of.name,
    name: `demo-${of.name}-1`,
    state: 'running',
    health: 'healthy',
    exitCode: null,
    oomKilled: false,
    restarts: 0,
    startedAt: '2026-01-01T00:00:00.000Z',
    configHash: of.configHash,
    imageId: `sha256:${of.name}`,
    wantedImageId: `sha256:${of.name}`,
    buildHash: of.build?.hash ?? null,
    ...more,
  }
}

export function serviceState(name: string, more: Partial<ServiceState> = {}): ServiceState {
  const summary = {
    name,
    oneShot: false,
    hasHealthCheck: true,
    dependsOn: [],
    ports: [],
    built: false,
    watched: false,
  }
  return { ...newService(summary), wanted: true, ...more }
}

export function stackState(...services: readonly ServiceState[]): StackState {
  return { ...initialState, services: Object.fromEntries(services.map((one) => [one.name, one])) }
}

/** Healthy since `seconds` after the `up` began at the start of 2026. */
export function healthy(name: string, seconds = 1): ServiceState {
  const at = new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString()
  return serviceState(name, {
    phase: 'running',
    health: 'healthy',
    startedAt: '2026-01-01T00:00:00.000Z',
    readyAt: at,
    instances: { [name]: { id: name, startedAt: at, restarts: 0, health: 'healthy' } },
  })
}
