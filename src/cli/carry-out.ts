import type { Intent } from '../core/intents.js'
import type { SessionClient } from '../host/session/client.js'

/**
 * Has the session carry out what was asked. Resolves with what failed meanwhile, which the session tells as Events and not
 * as its answer; null where nothing did.
 */
export async function carryOut(client: SessionClient, intent: Intent): Promise<string | null> {
  const failed: string[] = []
  const unsubscribe = client.subscribe((event) => {
    if (event?.type === 'operationFailed') failed.push(event.error.message)
    if (event?.type !== 'stackFailed') return
    const causes = event.failures.map(({ service, cause }) => `${service}: ${cause}`)
    const whole = event.cancelled ? 'it was cancelled' : 'the stack is not up'
    failed.push(...(causes.length > 0 ? causes : [whole]))
  })
  try {
    await client.send(intent)
    return failed.length === 0 ? null : failed.join('\n')
  } finally {
    unsubscribe()
  }
}
