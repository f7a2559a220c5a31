import type { Workload } from '../../core/kubernetes.js'
import { configHashes } from './objects/to-apply.js'
import type { KindResolved } from './resolve.js'

/** The workload whose pods a service is in. */
export function workloadOf({ stack }: KindResolved, service: string): Workload {
  const workload = stack.model.workloads.find(({ services }) => services.includes(service))
  if (workload === undefined) throw new Error(`${service} is in no workload`)
  return workload
}

/** What a service's pods carry once what is wanted now was applied. */
export function configHashOf({ wanted }: KindResolved, service: string): string {
  return configHashes(wanted.desired)[service] ?? ''
}
