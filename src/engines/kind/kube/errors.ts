import { DevstackError } from '../../../core/error.js'

/** `Status` of the API, as far as it is read. */
export interface KubeStatus {
  readonly status?: string
  readonly message?: string
  readonly reason?: string
  readonly code?: number
  readonly details?: {
    readonly retryAfterSeconds?: number
    readonly causes?: readonly {
      readonly reason?: string
      readonly message?: string
      readonly field?: string
    }[]
  }
}

/** The API server's refusal: OPERATION_FAILED, or EXEC_FAILED. */
export class KubeError extends DevstackError {
  /** HTTP's, as 409. */
  readonly status: number
  /** `NotFound`, `Conflict`, `Expired`, `Invalid`, ... */
  readonly reason: string
  /** Paths of the fields that it is about: `spec.template.spec.containers[0].image`. */
  readonly fields: readonly string[]

  constructor(status: number, answer: KubeStatus, doing: string, code: 'OPERATION_FAILED' | 'EXEC_FAILED') {
    super(code, `the cluster refused to ${doing}`, { cause: explain(status, answer), hint: hintFor(status) })
    this.status = status
    this.reason = answer.reason ?? ''
    this.fields = fieldsOf(answer)
  }
}

/** That version is no longer known: list again. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 410 || error.reason === 'Expired')
}

/** It is not there. */
export function isNotFound(error: unknown): boolean {
  return error instanceof KubeError && error.status === 404
}

/** Somebody else changed it, or it is there already. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubeError && error.status === 409
}

/** An apply was refused for a field that the kind does not have. */
export function isUndeclared(error: unknown): boolean {
  return error instanceof KubeError && error.why?.includes('field not declared in schema') === true
}

function explain(status: number, answer: KubeStatus): string {
  const name = [String(status), answer.reason ?? ''].filter((part) => part !== '').join(' ')
  const message = answer.message ?? 'no reason was given'
  const causes = (answer.details?.causes ?? [])
    .map(({ field, message }) => [field, message].filter((part) => part !== undefined).join(': '))
    .filter((line) => line !== '' && !message.includes(line))
  return [`${name}: ${message}`, ...causes].join('\n')
}

function hintFor(status: number): string | null {
  switch (status) {
    case 401:
    case 403:
      return 'the cluster does not let this user do that; devstack doctor'
    case 507:
      return 'the node is full: docker system df shows what takes the room'
    default:
      return null
  }
}

/**
 * Of a validation that failed its causes name the fields; of unknown fields only the message does, in two ways: `unknown field
 * "spec.x"` where the object is read strictly, `.spec.x: field not declared in schema` where it is merged.
 */
function fieldsOf({ message = '', details }: KubeStatus): readonly string[] {
  const named = (details?.causes ?? []).map(({ field }) => field ?? '')
  const unknown = [...message.matchAll(/(?:unknown|duplicate) field "([^"]+)"/g)].map(([, path = '']) => path)
  const undeclared = [...message.matchAll(/\.(\S+): field not declared in schema/g)].map(
    ([, path = '']) => path,
  )
  return [...new Set([...named, ...unknown, ...undeclared])].filter((path) => path !== '')
}

/** What the text of an answer says; a proxy's page is no Status, and its beginning is all there is to tell. */
export function parseStatus(text: string): KubeStatus {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && 'status' in value) return value as KubeStatus
  } catch {
    // not a Status
  }
  return text.trim() === '' ? {} : { message: text.trim().slice(0, 500) }
}
