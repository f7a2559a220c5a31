import { setTimeout as sleep } from 'node:timers/promises'

/** Tries again until `check` does not throw; after ten seconds its last error is thrown. */
export async function eventually(check: () => Promise<void>, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    try {
      await check()
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    await sleep(50)
  }
}
