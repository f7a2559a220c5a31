import { docker, type Place } from '../../e2e/support.ts'
import { followEvents, type Events, type SeenEvent } from '../../live/events.ts'
import { monotonic } from '../../live/observer.ts'
import { makeSmallShop, save, type SmallShop } from '../../live/small-shop.ts'
import { report, row, samplesOr } from './figures.ts'
import { connection } from './http.ts'
import { idOf } from './sides.ts'

const EDITS = 500
const RESTARTS = 0.08
const RECREATIONS = 0.04
const CONNECTIONS = 4

interface Outcome {
  readonly disturbed: boolean
  /** From the save until it was said to be live; null where that was never said. */
  readonly liveMs: number | null
  readonly stale: number
  readonly unanswered: number
}

/** Edits with restarts and recreations at random moments: is an answer ever old once the service is said to be live? */
export async function stale(): Promise<void> {
  const shop = await makeSmallShop()
  await using place = shop.place
  await using events = await followEvents(place)
  const random = seeded(500)
  const outcomes: Outcome[] = []
  const count = samplesOr(EDITS)
  for (let number = 1; number <= count; number += 1) {
    await pause(random() * 300)
    outcomes.push(await edit(shop, events, `edit-${String(number)}`, random))
  }
  const calm = outcomes.filter(({ disturbed }) => !disturbed)
  const disturbed = outcomes.filter((one) => one.disturbed)
  const liveMs = (of: readonly Outcome[]): number[] => of.map((one) => one.liveMs).filter((ms) => ms !== null)
  await report('live-stale', {
    edits: outcomes.length,
    'of which with a restart or a recreation': disturbed.length,
    'never said to be live (goal 0)': outcomes.filter((one) => one.liveMs === null).length,
    'stale answers after live (goal 0)': outcomes.reduce((sum, one) => sum + one.stale, 0),
    'no answer after live (goal 0)': outcomes.reduce((sum, one) => sum + one.unanswered, 0),
    ...row('save -> live, ms', liveMs(calm)),
    ...row('save with a restart or a recreation -> live, ms', liveMs(disturbed)),
  })
}

async function edit(shop: SmallShop, events: Events, mark: string, random: () => number): Promise<Outcome> {
  const dice = random()
  const disturbance =
    dice < RESTARTS
      ? restart(shop.place, random() * 200)
      : dice < RESTARTS + RECREATIONS
        ? recreate(shop.place, random() * 200)
        : null
  await pause(disturbance === null ? 0 : random() * 200)
  const from = events.mark()
  const begin = monotonic()
  await save(shop.files.api, mark)
  const live = disturbance === null ? await becomesLive(events, from) : await waits(shop.place, disturbance)
  const liveMs = live ? monotonic() - begin : null
  const kept = Array.from({ length: CONNECTIONS }, () => connection())
  const answers = live
    ? await Promise.all(kept.map((one) => one.ask(new URL('/api/mark', shop.address))))
    : []
  for (const one of kept) one.close()
  return {
    disturbed: disturbance !== null,
    liveMs,
    stale: answers.filter(({ status, body }) => status === 200 && !body.includes(`"${mark}"`)).length,
    unanswered: answers.filter(({ status }) => status !== 200).length,
  }
}

/** The service left `live` because of the save, and came back to it. */
async function becomesLive(events: Events, from: number): Promise<boolean> {
  const changes = (live: boolean) => (event: SeenEvent) =>
    event.type === 'freshnessChanged' && event['service'] === 'api' && (event['state'] === 'live') === live
  const left = await events.next(changes(false), from, 10_000)
  if (left === null) return false
  return (await events.next((event) => event.seq > left.seq && changes(true)(event), from, 30_000)) !== null
}

/** What a script would do: the command that blocks until the running code is the saved one. */
async function waits(place: Place, disturbance: Promise<unknown>): Promise<boolean> {
  await disturbance
  const waited = await place.devstack(['wait', '--for', 'fresh', 'api', '--timeout', '60s'])
  return waited.code === 0
}

async function restart(place: Place, afterMs: number): Promise<void> {
  await pause(afterMs)
  await docker('restart', await idOf(place, 'api'))
}

async function recreate(place: Place, afterMs: number): Promise<void> {
  await pause(afterMs)
  await docker('rm', '--force', await idOf(place, 'api'))
  const up = await place.devstack(['up', '--detach'])
  if (up.code !== 0) throw new Error(up.all)
}

/** The same numbers from 0 to 1 in each run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
