import { untilOver } from '../until-over.js'
import { isNotFound } from './errors.js'
import type { Transport } from './transport.js'

/** A kind that the server has. */
export interface KubeResource {
  /** `deployments` */
  readonly name: string
  readonly kind: string
  readonly namespaced: boolean
}

/** What kinds a server has, asked once for each group and version. */
export interface Discovery {
  /** Null: the server does not know it. */
  find(apiVersion: string, kind: string, signal: AbortSignal): Promise<KubeResource | null>
}

export function createDiscovery(transport: Transport): Discovery {
  const known = new Map<string, readonly KubeResource[]>()
  const asking = new Map<string, Promise<unknown>>()
  const ask = async (apiVersion: string, signal: AbortSignal): Promise<readonly KubeResource[]> => {
    const request = {
      method: 'GET',
      path: rootOf(apiVersion),
      doing: `list the kinds of ${apiVersion}`,
    } as const
    try {
      const { resources } = await transport.call<{ readonly resources: readonly KubeResource[] }>(
        request,
        signal,
      )
      // `pods/log` and its like are parts of a kind.
      const kinds = resources.filter(({ name }) => !name.includes('/'))
      known.set(apiVersion, kinds)
      return kinds
    } catch (error) {
      if (isNotFound(error)) return []
      throw error
    }
  }
  return {
    async find(apiVersion, kind, signal) {
      const is = (resource: KubeResource): boolean => resource.kind === kind
      const others = asking.get(apiVersion)
      if (others !== undefined && !known.has(apiVersion)) await untilOver(others, signal)
      const found = known.get(apiVersion)?.find(is)
      if (found !== undefined) return found
      // A kind that is not there is asked for again: its definition may just have been applied.
      const own = ask(apiVersion, signal)
      asking.set(apiVersion, own)
      return (await own).find(is) ?? null
    },
  }
}

/** `/api/v1`, `/apis/apps/v1` */
export function rootOf(apiVersion: string): string {
  const parts = apiVersion.split('/').map(encodeURIComponent)
  return parts.length === 1 ? `/api/${parts.join('/')}` : `/apis/${parts.join('/')}`
}
