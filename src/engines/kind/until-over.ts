/** Resolves when the work of somebody else is over, however it ends, or the signal is aborted. */
export async function untilOver(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>()
  const stop = (): void => aborted.resolve()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    await Promise.race([work.catch(() => undefined), aborted.promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
