/** A queue between what pushes and one `for await` that takes. */
export interface Channel<T> extends AsyncIterable<T> {
  push(value: T): void
  /** Takes no more; what is queued is still delivered. */
  close(): void
  /** What is queued is still delivered, then the iteration throws. */
  fail(error: unknown): void
  /** Resolves at once while the reader keeps up, else when it has caught up: the way to slow down a source. */
  ready(): Promise<void>
}

const HIGH_WATER = 2000

/** Only one reader; leaving its loop closes the channel and calls `onClose`. */
export function createChannel<T>(onClose: () => void = () => undefined): Channel<T> {
  let queue: T[] = []
  let read = 0
  let ended = false
  let failure: { readonly error: unknown } | null = null
  let wake: (() => void) | null = null
  let waiting: (() => void)[] = []

  const release = (): void => {
    const released = waiting
    waiting = []
    for (const resolve of released) resolve()
  }
  const end = (): void => {
    if (ended) return
    ended = true
    wake?.()
    release()
  }

  async function* values(): AsyncGenerator<T> {
    try {
      for (;;) {
        while (read < queue.length) {
          yield queue[read++] as T
        }
        queue = []
        read = 0
        release()
        if (failure !== null) throw failure.error
        if (ended) return
        await new Promise<void>((resolve) => (wake = resolve))
        wake = null
      }
    } finally {
      end()
      onClose()
    }
  }

  return {
    push: (value) => {
      if (ended) return
      queue.push(value)
      wake?.()
    },
    close: end,
    fail: (error) => {
      failure ??= { error }
      end()
    },
    ready: () =>
      ended || queue.length - read < HIGH_WATER
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push(resolve)),
    [Symbol.asyncIterator]: values,
  }
}

/**
 * What `work` pushes, for one reader. It is stopped by the signal and when the reader leaves; ends with the work, and throws
 * what that rejects with unless it was stopped.
 */
export function produce<T>(
  signal: AbortSignal,
  work: (channel: Channel<T>, stop: AbortSignal) => Promise<void>,
): AsyncIterable<T> {
  const ending = new AbortController()
  const stop = AbortSignal.any([signal, ending.signal])
  const channel = createChannel<T>(() => ending.abort())
  stop.addEventListener('abort', () => channel.close(), { once: true })
  work(channel, stop).then(
    () => channel.close(),
    (error: unknown) => (stop.aborted ? channel.close() : channel.fail(error)),
  )
  return channel
}
