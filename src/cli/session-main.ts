import { parseArgs } from 'node:util'
import { DevstackError } from '../core/error.js'
import { runSession } from './run-session.js'
import type { StackRef } from './stack.js'

/**
 * The session's process: `node session.js --stack JSON`. It owns one stack until it is told to end, and writes what goes
 * wrong to its log file, which is its stdout and stderr. Resolves with its exit code.
 */
export async function runProcess(): Promise<number> {
  const { values } = parseArgs({ options: { stack: { type: 'string' } } })
  const stack = JSON.parse(values.stack ?? 'null') as StackRef
  // A terminal that goes away, or a Ctrl-C meant for the UI, is none of the session's business.
  process.on('SIGHUP', () => undefined)
  process.on('SIGINT', () => undefined)
  try {
    await runSession(stack, {
      env: process.env,
      lasting: true,
      onListening: () => {
        // The command that started it may be gone by now: that is no error of the session's.
        process.send?.('listening', () => {
          if (process.connected) process.disconnect()
        })
      },
      onStop: (stop) => process.once('SIGTERM', stop),
    })
    return 0
  } catch (error) {
    // Another session was faster: whoever started this one joins that.
    if (error instanceof DevstackError && error.code === 'LOCKED') return 0
    const text = error instanceof Error ? (error.stack ?? '') : String(error)
    process.stderr.write(`${new Date().toISOString()} ${text}\n`)
    return 70
  }
}
