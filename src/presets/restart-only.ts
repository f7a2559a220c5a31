import type { LivePreset } from '../orchestrator/ports.js'

/** For a server that takes nothing up while it runs: every delivered file asks for a restart, which reads all of them. */
export function restartOnly(server: string, reason: string | null): LivePreset {
  return {
    support: () => Promise.resolve([]),
    attach: () =>
      Promise.resolve({
        server: { name: server, reason },
        // It began after everything that it was started with was there.
        first: { type: 'taken', what: 'start', detail: server },
        takeUp: () =>
          Promise.resolve({ type: 'restart', reason: `${server} reads files only when it starts` }),
        close: () => undefined,
      }),
    offer: () => null,
  }
}
