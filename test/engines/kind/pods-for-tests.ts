import { KUBE_ANNOTATION, KUBE_LABEL } from '../../../src/engines/kind/pods.js'
import type { ContainerNote, ContainerStatus, Pod } from '../../../src/engines/kind/pods.js'

export interface PodOptions {
  readonly uid?: string
  readonly gated?: boolean
  readonly probe?: boolean
  /** Requested. */
  readonly memory?: string
  readonly policy?: NonNullable<Pod['spec']['restartPolicy']>
  readonly phase?: NonNullable<NonNullable<Pod['status']>['phase']>
  readonly deleted?: boolean
  readonly reason?: string
  readonly configHash?: string
  readonly init?: readonly ContainerStatus[]
  readonly conditions?: NonNullable<Pod['status']>['conditions']
}

/** A pod of the workload `app` with one container `app`, whose status is `status`; undefined: it has none yet. */
export function podOf(status: Partial<ContainerStatus> | undefined, options: PodOptions = {}): Pod {
  const { uid = 'u1', gated = false, probe = false, deleted = false, configHash = 'config' } = options
  const note: ContainerNote = { service: 'app', configHash, imageId: 'sha256:1', buildHash: null, gated }
  const whole: ContainerStatus = {
    name: 'app',
    ready: false,
    restartCount: 0,
    image: 'app:1',
    imageID: '',
    ...status,
  }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `app-${uid}`,
      uid,
      labels: { [KUBE_LABEL.workload]: 'app' },
      annotations: { [KUBE_ANNOTATION.containers]: JSON.stringify({ app: note }) },
      ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:09Z' } : {}),
    },
    spec: {
      restartPolicy: options.policy ?? 'Always',
      containers: [
        {
          name: 'app',
          image: 'app:wanted',
          ...(probe ? { readinessProbe: {} } : {}),
          ...(options.memory === undefined ? {} : { resources: { requests: { memory: options.memory } } }),
        },
      ],
    },
    status: {
      phase: options.phase ?? 'Running',
      ...(options.reason === undefined ? {} : { reason: options.reason }),
      ...(options.conditions === undefined ? {} : { conditions: options.conditions }),
      ...(options.init === undefined ? {} : { initContainerStatuses: options.init }),
      ...(status === undefined ? {} : { containerStatuses: [whole] }),
    },
  }
}

export const runs = { running: { startedAt: '2026-01-01T00:00:01Z' } }

export function ended(exitCode: number, reason = exitCode === 0 ? 'Completed' : 'Error') {
  return { terminated: { exitCode, reason, finishedAt: '2026-01-01T00:00:05Z' } }
}
