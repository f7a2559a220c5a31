import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { followEvents } from '../../live/events.ts'
import { monotonic } from '../../live/observer.ts'
import { EDITED, makeSmallShop, save, type SmallShop } from '../../live/small-shop.ts'
import { figure } from '../support.ts'
import { quantile, report, samplesOr, until } from './figures.ts'
import { answers, connection, type Answer } from './http.ts'

const RELOADS = 30
const CONNECTIONS = 4
const EVERY_MS = 20
/** Counted as late: five times what lies between two requests. */
const LATE_MS = 100

interface Request extends Answer {
  /** When it was to be sent: a client that waits for an answer does not hide how late the next one is. */
  readonly due: number
}

/** 50 requests a second over four connections while the code is reloaded: what became of each. */
export async function reloads(): Promise<void> {
  const shop = await makeSmallShop()
  await using place = shop.place
  const conf = join(place.folder, EDITED.nginx)
  const text = await readFile(conf, 'utf8')
  // nginx is not to ask twice, which would hide a refused request.
  await writeFile(conf, text.replace('  uwsgi_pass', '  uwsgi_next_upstream off;\n  uwsgi_pass'))
  await using _events = await followEvents(place)
  // The first save waits until third-party modules are kept warm, which is the start's matter.
  await reload(shop, 'reload-0')
  await until(monotonic() + 1000)
  const load = startLoad(new URL('/api/mark', shop.address))
  const times: number[] = []
  let never = 0
  const count = samplesOr(RELOADS)
  for (let number = 1; number <= count; number += 1) {
    const begin = monotonic()
    const at = await reload(shop, `reload-${String(number)}`)
    if (at === null) never += 1
    else times.push(at - begin)
    await until(Math.max(begin + 1000, monotonic() + 300))
  }
  const requests = await load.stop()
  const took = requests.map(({ due, at }) => at - due)
  await report('live-reloads', {
    'save -> new answer, under load, ms': figure(times),
    'reloads that never came': never,
    requests: requests.length,
    'refused or lost (goal 0)': requests.filter(({ status }) => status !== 200).length,
    [`late: over ${String(LATE_MS)} ms (goal 0)`]: took.filter((ms) => ms > LATE_MS).length,
    'older answers after a newer one (goal 0)': older(requests),
    'answer, ms': figure(took),
    'answer, 99 of 100, ms': quantile(took, 0.99),
  })
}

async function reload(shop: SmallShop, mark: string): Promise<number | null> {
  await save(shop.files.api, mark)
  return answers(new URL('/api/mark', shop.address), `"${mark}"`, 10_000)
}

function startLoad(url: URL): { stop(): Promise<readonly Request[]> } {
  const kept = Array.from({ length: CONNECTIONS }, () => connection())
  const pending: Promise<Request>[] = []
  const begin = monotonic()
  const timer = setInterval(() => {
    // Those that are due, also where this process was held up.
    for (let due = begin + pending.length * EVERY_MS; due <= monotonic(); due += EVERY_MS) {
      const one = kept[pending.length % CONNECTIONS]
      if (one !== undefined) pending.push(one.ask(url).then((answer) => ({ ...answer, due })))
    }
  }, 2)
  return {
    stop: async () => {
      clearInterval(timer)
      const requests = await Promise.all(pending)
      for (const one of kept) one.close()
      return requests
    },
  }
}

/** Answers of older code to requests that were sent after somebody had seen newer code. */
function older(requests: readonly Request[]): number {
  const number = ({ body }: Request): number => Number(/reload-(\d+)/.exec(body)?.[1] ?? 0)
  return requests.filter((request) =>
    requests.some(
      (other) => other.at < request.due && number(other) > number(request) && request.status === 200,
    ),
  ).length
}
