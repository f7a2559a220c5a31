import type { Duplex } from 'node:stream'
import type { KubeAccess } from './access.js'
import { Tunnel } from './tunnel.js'
import { upgrade } from './upgrade.js'

/** Connections to ports of the pods of a namespace. */
export interface Forwarder {
  /** See {@link Kube.forward}. */
  forward(pod: string, port: number, signal: AbortSignal): Promise<Duplex>
}

/** A tunnel that was of no use for so long is closed. */
const IDLE_MS = 30_000
/** As many as a browser opens at once. */
const MOST_IDLE = 6

export function createForwarder(access: KubeAccess, namespace: string): Forwarder {
  const kept = new Map<string, KeptTunnel[]>()

  /** One that carried a connection to its end, or null. */
  const take = (pod: string): KeptTunnel | null => kept.get(pod)?.pop() ?? null

  const keep = (pod: string, tunnel: KeptTunnel): void => {
    const others = kept.get(pod) ?? []
    if (others.length >= MOST_IDLE) return tunnel.close()
    kept.set(pod, [...others, tunnel])
    tunnel.rest(IDLE_MS, () => {
      const left = kept.get(pod)?.filter((one) => one !== tunnel) ?? []
      if (left.length > 0) kept.set(pod, left)
      else kept.delete(pod)
    })
  }

  const carry = async (
    tunnel: KeptTunnel,
    pod: string,
    port: number,
    signal: AbortSignal,
  ): Promise<Duplex> => {
    const stop = (): void => tunnel.close()
    signal.addEventListener('abort', stop, { once: true })
    const over = (): void => signal.removeEventListener('abort', stop)
    return tunnel.carry(port, over, () => keep(pod, tunnel))
  }

  return {
    async forward(pod, port, signal) {
      signal.throwIfAborted()
      for (let tunnel = take(pod); tunnel !== null; tunnel = take(pod)) {
        try {
          return await carry(tunnel, pod, port, signal)
        } catch {
          // It had died in the meantime: the next one, or a new one.
          signal.throwIfAborted()
        }
      }
      const request = {
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/portforward`,
        headers: { Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': 'portforward.k8s.io' },
        doing: `reach port ${String(port)} of ${pod}`,
      }
      const upgraded = await upgrade(access, request, signal)
      try {
        return await carry(new KeptTunnel(pod, upgraded), pod, port, signal)
      } catch (error) {
        signal.throwIfAborted()
        throw error
      }
    },
  }
}

/** A tunnel, and what is to be done when it ends. */
class KeptTunnel {
  readonly #tunnel: Tunnel
  #over: () => void = () => undefined
  #timer: NodeJS.Timeout | null = null

  constructor(pod: string, upgraded: ConstructorParameters<typeof Tunnel>[1]) {
    this.#tunnel = new Tunnel(pod, upgraded, () => this.#finish())
  }

  close(): void {
    this.#tunnel.close()
  }

  /** `over`: it came to its end, or broke. `finished`: it may carry another one. */
  carry(port: number, over: () => void, finished: () => void): Promise<Duplex> {
    this.#finish()
    this.#over = over
    return this.#tunnel.carry(port, () => {
      this.#finish()
      finished()
    })
  }

  /** Waits for its next use. `gone`: it is closed. */
  rest(ms: number, gone: () => void): void {
    this.#over = gone
    this.#timer = setTimeout(() => this.close(), ms)
    this.#timer.unref()
  }

  #finish(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const over = this.#over
    this.#over = () => undefined
    over()
  }
}
