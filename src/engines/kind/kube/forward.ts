import { Duplex } from 'node:stream'
import { DevstackError } from '../../../core/error.js'
import type { KubeAccess } from './access.js'
import { openChannels } from './channels.js'
import type { ChannelListener, Channels } from './channels.js'
import { sendPieces } from './exec.js'

/** Numbers of the streams of the one port that is asked for. */
const CHANNEL = { data: 0, error: 1 } as const
const BUFFERED = 256 * 1024

/** See {@link Kube.forward}. */
export async function forwardToPod(
  access: KubeAccess,
  namespace: string,
  pod: string,
  port: number,
  signal: AbortSignal,
): Promise<Duplex> {
  const tunnel = new Tunnel(`${pod}:${String(port)}`)
  const channels = await openChannels(
    access,
    {
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/portforward`,
      query: { ports: port },
      protocols: ['v4.channel.k8s.io'],
      doing: `reach port ${String(port)} of ${pod}`,
      code: 'OPERATION_FAILED',
    },
    tunnel,
    signal,
  )
  tunnel.connect(channels)
  return tunnel.duplex
}

/** A connection to a port, as bytes. */
class Tunnel implements ChannelListener {
  readonly duplex: Duplex
  readonly #place: string
  /** Each stream begins with the port's number, two bytes. */
  readonly #headed = new Set<number>()
  #channels: Channels | null = null
  #full = false
  #closed = false
  #refusal = ''

  constructor(place: string) {
    this.#place = place
    this.duplex = new Duplex({
      highWaterMark: BUFFERED,
      allowHalfOpen: false,
      read: () => {
        if (this.#full) this.#channels?.resume()
        this.#full = false
      },
      write: (chunk: Buffer, _encoding, done) => {
        if (this.#channels === null) done(this.#broken('it is not open'))
        else sendPieces(this.#channels, CHANNEL.data, chunk, done)
      },
      // The protocol cannot end one direction: the other side's end ends both.
      final: (done) => done(),
      destroy: (error, done) => {
        this.#channels?.close()
        done(error)
      },
    })
  }

  connect(channels: Channels): void {
    this.#channels = channels
    if (this.#closed || this.duplex.destroyed) channels.close()
    else if (this.#full) channels.pause()
  }

  receive(channel: number, chunk: Buffer): void {
    const bytes = this.#headed.has(channel) ? chunk : chunk.subarray(2)
    this.#headed.add(channel)
    if (bytes.length === 0 || this.duplex.destroyed) return
    if (channel === CHANNEL.error) {
      this.#refusal += bytes.toString('utf8')
      this.duplex.destroy(this.#broken(this.#refusal))
    } else if (!this.duplex.push(bytes)) {
      this.#full = true
      this.#channels?.pause()
    }
  }

  closed(cause: string | null): void {
    this.#closed = true
    if (this.duplex.destroyed) return
    if (cause === null) this.duplex.push(null)
    else this.duplex.destroy(this.#broken(cause))
  }

  #broken(cause: string): DevstackError {
    return new DevstackError('OPERATION_FAILED', `the connection to ${this.#place} broke`, { cause })
  }
}
