import { DevstackError } from '../../../core/error.js'
import type { PodInstanceRef } from '../pods.js'

/** The container that is worked in: one run of it. */
export interface InsideTarget extends PodInstanceRef {
  /** Name of its pod. */
  readonly pod: string
  readonly service: string
}

/** It does not run, or not any more: another run of it has the files of the image again. */
export class NotThere extends Error {}

/** No agent can work beside it, and why: what its own image has is left. */
export class NoAgent extends Error {}

export function notRunning({ service }: InsideTarget, cause: string): DevstackError {
  return new DevstackError('EXEC_FAILED', `${service} is not running`, {
    cause,
    hint: `devstack up ${service}`,
  })
}

export function cannotStart(service: string, name: string, cause: string | null): DevstackError {
  return new DevstackError('EXEC_FAILED', `${name} cannot be started in ${service}`, {
    cause,
    hint: /not found|no such file/i.test(cause ?? '') ? `its image has no ${name}` : null,
  })
}

/** Why the cluster refused, where the error is of that kind; any other is thrown on. */
export function refusal(error: unknown, code: 'OPERATION_FAILED' | 'EXEC_FAILED'): string {
  if (!(error instanceof DevstackError) || error.code !== code) throw error
  return error.why ?? error.message
}
