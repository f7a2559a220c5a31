import type { Problem } from '../../core/error.js'
import type { LocateObject } from '../../core/kubernetes.js'
import { KubeError } from './kube/errors.js'
import type { KubeObject } from './kube-ports.js'

/** Statuses that say that the object itself is at fault; a refused merge answers as if it were the server's. */
const AT_FAULT: readonly number[] = [400, 422]

/** What the API server says of an object, each at its place; null where the error is about something else. */
export function refusalProblems(
  object: KubeObject,
  error: unknown,
  locate: LocateObject,
): readonly Problem[] | null {
  if (!(error instanceof KubeError)) return null
  if (!AT_FAULT.includes(error.status) && error.fields.length === 0) return null
  const name = `${object.kind} ${object.metadata.name}`
  const cause = (error.why ?? error.message).replace(/^\d{3}[^:]*: /, '')
  if (error.fields.length === 0) return [{ message: `${name}: ${cause}`, at: locate(object, []), hint: null }]
  const isUnknown = /unknown field|not declared in schema/.test(cause)
  return [...new Set(error.fields)].map((field) => ({
    message: isUnknown ? `${name} has no field ${field}` : `${name}: ${field}: ${reasonOf(field, cause)}`,
    at: locate(object, pathOf(field)),
    hint: null,
  }))
}

/** Its own line of the server's words, where there is one. */
function reasonOf(field: string, cause: string): string {
  const line = cause.split('\n').find((one) => one.startsWith(`${field}: `))
  return line === undefined ? (cause.split('\n')[0] ?? cause) : line.slice(field.length + 2)
}

/** `spec.containers[0].image` -> its keys. A key with dots in it is not found, and its parent's place serves. */
export function pathOf(field: string): readonly (string | number)[] {
  return [...field.matchAll(/\[(\d+)\]|\[([^\]]+)\]|([^.[\]]+)/g)].map(([, index, key, name]) =>
    index === undefined ? (key ?? name ?? '') : Number(index),
  )
}
