import { PassThrough } from 'node:stream'
import type { Readable } from 'node:stream'
import { DevstackError } from '../../../core/error.js'
import type { Kube, KubeList, KubeObject, ListQuery } from '../kube-ports.js'
import type { KubeAccess } from './access.js'
import { createDiscovery, rootOf } from './discovery.js'
import type { Discovery } from './discovery.js'
import { isConflict, isNotFound, isUndeclared, KubeError } from './errors.js'
import { execInPod } from './exec.js'
import { createForwarder } from './forward.js'
import { createTransport, unreachable } from './transport.js'
import type { Transport } from './transport.js'
import { watchObjects, withKind } from './watch.js'

export interface KubeOptions {
  /** Of a cluster that was proven to be the one that we may use. */
  readonly access: KubeAccess
  /** The only namespace that is written to. */
  readonly namespace: string
}

/** Sends nothing yet: the first call does. */
export function createKube({ access, namespace }: KubeOptions): Kube {
  const transport = createTransport(access)
  const discovery = createDiscovery(transport)
  const forwarder = createForwarder(access, namespace)
  const place = { transport, discovery, namespace }
  return {
    namespace,
    path: (type, name, signal) => pathOf(place, type, name, signal),
    exec: (options, signal) => execInPod(access, namespace, options, signal),
    forward: (pod, port, signal) => forwarder.forward(pod, port, signal),
    watch: (path, query, signal) => watchObjects(transport, path, query, signal),
    logs: (options, signal) => readLog(place, options, signal),
    ...reading(place),
    ...writing(place),
  }
}

interface Place {
  readonly transport: Transport
  readonly discovery: Discovery
  readonly namespace: string
}

function reading({ transport }: Place): Pick<Kube, 'get' | 'list'> {
  return {
    async get<T>(path: string, signal: AbortSignal) {
      try {
        return await transport.call<T>({ method: 'GET', path, doing: `read ${path}` }, signal)
      } catch (error) {
        if (isNotFound(error)) return null
        throw error
      }
    },
    async list<T>(path: string, query: ListQuery, signal: AbortSignal): Promise<KubeList<T>> {
      const request = { method: 'GET', path, query: { ...query }, doing: `list ${path}` } as const
      const answer = await transport.call<RawList<T>>(request, signal)
      const items = (answer.items ?? []).map((item) => withKind(item, answer))
      return { items, resourceVersion: answer.metadata.resourceVersion }
    },
  }
}

interface RawList<T> {
  readonly kind: string
  readonly apiVersion: string
  readonly metadata: { readonly resourceVersion: string }
  /** Null where there is none, of some kinds. */
  readonly items: readonly T[] | null
}

const PATCH_TYPE = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
} as const

const MANAGER = 'devstack'
const STRICT = { fieldManager: MANAGER, fieldValidation: 'Strict' } as const

function writing(place: Place): Pick<Kube, 'apply' | 'patch' | 'create' | 'delete'> {
  const { transport, namespace } = place
  return {
    async apply<T>(object: KubeObject, { dryRun }: { readonly dryRun: boolean }, signal: AbortSignal) {
      const path = await applyPath(place, object, signal)
      const query = { ...STRICT, force: true, ...(dryRun ? { dryRun: 'All' } : {}) }
      const contentType = 'application/apply-patch+yaml'
      const doing = `apply ${object.kind} ${object.metadata.name}`
      try {
        return await transport.call<T>(
          { method: 'PATCH', path, query, contentType, body: object, doing },
          signal,
        )
      } catch (error) {
        if (isUndeclared(error)) await tellUnknownFields(place, path, object, doing, signal)
        throw error
      }
    },
    async patch<T>(path: string, type: keyof typeof PATCH_TYPE, body: unknown, signal: AbortSignal) {
      refuseElsewhere(path, namespace)
      const contentType = PATCH_TYPE[type]
      const request = {
        method: 'PATCH',
        path,
        query: STRICT,
        contentType,
        body,
        doing: `change ${path}`,
      } as const
      return transport.call<T>(request, signal)
    },
    async create<T>(path: string, body: unknown, signal: AbortSignal) {
      refuseElsewhere(path, namespace)
      return transport.call<T>({ method: 'POST', path, query: STRICT, body, doing: `create ${path}` }, signal)
    },
    async delete(path, { propagation, graceSeconds, uid }, signal) {
      refuseElsewhere(path, namespace)
      const body = {
        propagationPolicy: propagation,
        ...(graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }),
        ...(uid === undefined ? {} : { preconditions: { uid } }),
      }
      try {
        await transport.call({ method: 'DELETE', path, body, doing: `delete ${path}` }, signal)
        return true
      } catch (error) {
        // A conflict: another object of this name has taken the place of the one that is meant.
        if (isNotFound(error) || (uid !== undefined && isConflict(error))) return false
        throw error
      }
    },
  }
}

/**
 * Of several unknown fields an apply names any one. To create it, which the server only plays through, names them all; an object
 * that is there already is no matter, since the fields are looked at first.
 */
async function tellUnknownFields(
  { transport }: Place,
  path: string,
  object: KubeObject,
  doing: string,
  signal: AbortSignal,
): Promise<void> {
  const request = {
    method: 'POST',
    path: path.slice(0, path.lastIndexOf('/')),
    query: { ...STRICT, dryRun: 'All' },
    body: object,
    doing,
  } as const
  try {
    await transport.call(request, signal)
  } catch (error) {
    if (error instanceof KubeError && error.fields.length > 0) throw error
    signal.throwIfAborted()
  }
}

async function applyPath(place: Place, object: KubeObject, signal: AbortSignal): Promise<string> {
  const { kind, metadata } = object
  const path = await pathOf(place, object, metadata.name, signal)
  if (path === null) {
    throw new DevstackError('OPERATION_FAILED', `the cluster does not know ${kind} ${metadata.name}`, {
      cause: `it has no kind ${kind} in ${object.apiVersion}`,
      hint: 'look at apiVersion and kind, or apply the definition of that kind first',
    })
  }
  const inside = path.includes('/namespaces/') && kind !== 'Namespace'
  if (inside && metadata.namespace !== undefined && metadata.namespace !== place.namespace)
    throw elsewhere(`${kind} ${metadata.name}`, metadata.namespace, place.namespace)
  refuseElsewhere(path, place.namespace)
  return path
}

async function pathOf(
  { discovery, namespace }: Place,
  type: { readonly apiVersion: string; readonly kind: string },
  name: string | null,
  signal: AbortSignal,
): Promise<string | null> {
  const resource = await discovery.find(type.apiVersion, type.kind, signal)
  if (resource === null) return null
  const parts = [
    rootOf(type.apiVersion),
    ...(resource.namespaced ? ['namespaces', encodeURIComponent(namespace)] : []),
    resource.name,
    ...(name === null ? [] : [encodeURIComponent(name)]),
  ]
  return parts.join('/')
}

/** The last line of defence: whatever a caller was told, nothing is written into another stack's namespace. */
function refuseElsewhere(path: string, namespace: string): void {
  const [, named] = /^\/apis?\/.*?\/?namespaces\/([^/?]+)/.exec(path) ?? []
  if (named === undefined || decodeURIComponent(named) === namespace) return
  throw elsewhere(path, decodeURIComponent(named), namespace)
}

function elsewhere(what: string, named: string, namespace: string): DevstackError {
  return new DevstackError('OPERATION_FAILED', `not writing ${what}`, {
    cause: `it is in the namespace ${named}, and this stack's is ${namespace}`,
    hint: 'leave metadata.namespace out',
  })
}

async function readLog(
  { transport, namespace }: Place,
  options: Parameters<Kube['logs']>[0],
  signal: AbortSignal,
): Promise<Readable> {
  const { pod, container, follow, previous, sinceTime, tailLines } = options
  const response = await transport.open(
    {
      method: 'GET',
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log`,
      query: { container, follow, previous, sinceTime, tailLines, timestamps: true },
      doing: `read the log of ${container} in ${pod}`,
    },
    signal,
  )
  const log = new PassThrough()
  response.on('error', (error) => {
    log.destroy(signal.aborted ? (signal.reason as Error) : unreachable(error, transport.access))
  })
  log.on('close', () => response.destroy())
  return response.pipe(log)
}
