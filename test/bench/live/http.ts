import { Agent, get } from 'node:http'
import { monotonic } from '../../live/observer.ts'

export interface Answer {
  /** 0 where there was none. */
  readonly status: number
  readonly body: string
  /** When its last byte was there. */
  readonly at: number
  readonly error: string | null
}

/** One connection that is kept. */
export function connection(): { ask(url: URL, timeoutMs?: number): Promise<Answer>; close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    ask: (url, timeoutMs = 10_000) =>
      new Promise((resolve) => {
        let body = ''
        const fail = (error: Error): void =>
          resolve({ status: 0, body, at: monotonic(), error: error.message })
        const question = get(url, { agent }, (response) => {
          response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
          response.on('error', fail)
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body, at: monotonic(), error: null }),
          )
        })
        question.on('error', fail)
        question.setTimeout(timeoutMs, () => question.destroy(new Error('no answer in time')))
      }),
    close: () => agent.destroy(),
  }
}

/** Asks again and again, a millisecond between, until an answer contains `text`; when, or null. */
export async function answers(url: URL, text: string, timeoutMs: number): Promise<number | null> {
  const kept = connection()
  try {
    const end = monotonic() + timeoutMs
    while (monotonic() < end) {
      const answer = await kept.ask(url, timeoutMs)
      if (answer.body.includes(text)) return answer.at
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    return null
  } finally {
    kept.close()
  }
}
