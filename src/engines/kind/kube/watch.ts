import { StringDecoder } from 'node:string_decoder'
import type { ListQuery, WatchEvent } from '../kube-ports.js'
import { KubeError } from './errors.js'
import type { KubeStatus } from './errors.js'
import { unreachable } from './transport.js'
import type { Transport } from './transport.js'

/** See {@link Kube.watch}. */
export async function* watchObjects<T>(
  transport: Transport,
  path: string,
  query: ListQuery & { readonly resourceVersion: string },
  signal: AbortSignal,
): AsyncIterable<WatchEvent<T>> {
  const doing = `watch ${path}`
  const response = await transport.open(
    { method: 'GET', path, query: { ...query, watch: true, allowWatchBookmarks: true }, doing },
    signal,
  )
  try {
    for await (const line of linesOf(response)) {
      const event = JSON.parse(line) as Raw<T>
      if (event.type === 'ERROR') throw refusal(event.object as KubeStatus, doing)
      yield event
    }
  } catch (error) {
    signal.throwIfAborted()
    throw unreachable(error, transport.access)
  } finally {
    response.destroy()
  }
  signal.throwIfAborted()
}

type Raw<T> = WatchEvent<T> | { readonly type: 'ERROR'; readonly object: unknown }

function refusal(status: KubeStatus, doing: string): KubeError {
  return new KubeError(status.code ?? 500, status, doing, 'OPERATION_FAILED')
}

/** Lines may be cut anywhere, also within a character. */
async function* linesOf(stream: AsyncIterable<Buffer>): AsyncIterable<string> {
  const decoder = new StringDecoder('utf8')
  let pieces: string[] = []
  for await (const chunk of stream) {
    const [first = '', ...rest] = decoder.write(chunk).split('\n')
    pieces.push(first)
    for (const next of rest) {
      const line = pieces.join('')
      pieces = [next]
      if (line !== '') yield line
    }
  }
}

/** The items of a list carry no kind of their own; its name tells it: `PodList`. */
export function withKind<T>(item: T, list: { readonly kind?: string; readonly apiVersion?: string }): T {
  const kind = list.kind?.replace(/List$/, '')
  return { apiVersion: list.apiVersion, kind, ...item }
}
