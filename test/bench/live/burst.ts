import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { monotonic, observe, type Observer } from '../../live/observer.ts'
import { figure, type Figure } from '../support.ts'
import { content, names, sha256 } from './files.ts'
import { report, samplesOr, until } from './figures.ts'
import { openSides } from './sides.ts'

const FILES = 1000
const ROUNDS = 5

/** 1,000 files in ten new folders, written at once: until the last is in the container, and by how many uploads. */
export async function burst(): Promise<void> {
  await using sides = await openSides({ 'app.py': '' })
  const alone: number[] = []
  const times: Record<string, number[]> = {}
  const writing: Record<string, number[]> = {}
  const uploads: number[] = []
  let missed = 0
  const rounds = samplesOr(ROUNDS)
  for (let round = 0; round < rounds; round += 1) {
    alone.push(write(join(sides.place.folder, '../unwatched'), round).tookMs)
    for (const [name, side] of Object.entries(sides.each)) {
      await using observer = await observe(side.container)
      const mark = sides.events.mark()
      const { begin, tookMs } = write(side.folder, round)
      const at = await allThere(observer, round)
      if (at === null) missed += 1
      else (times[name] ??= []).push(at - begin)
      ;(writing[name] ??= []).push(tookMs)
      await until(monotonic() + 1000)
      if (name === 'devstack') uploads.push(sides.events.of('delivered', mark).length)
    }
  }
  const rows: Record<string, Figure | number> = { 'writing, nobody watches, ms': figure(alone) }
  for (const [name, samples] of Object.entries(times)) {
    rows[`all there: ${name}, ms`] = figure(samples)
    rows[`of which writing: ${name}, ms`] = figure(writing[name] ?? [])
  }
  await report('live-burst', {
    ...rows,
    'goal for devstack: 1.2 x the writing + 300, ms': 1.2 * figure(alone).median + 300,
    'uploads (goal 3)': figure(uploads),
    'rounds in which files were missing after 60 s': missed,
  })
}

function write(folder: string, round: number): { readonly begin: number; readonly tookMs: number } {
  const begin = monotonic()
  for (const name of paths(round)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content(name, String(round)))
  }
  return { begin, tookMs: monotonic() - begin }
}

async function allThere(observer: Observer, round: number): Promise<number | null> {
  const files = paths(round).map((name) => [`/app/src/${name}`, sha256(content(name, String(round)))])
  return (await observer.settles(Object.fromEntries(files) as Record<string, string>, 60_000)).at
}

function paths(round: number): readonly string[] {
  return names(FILES, `round${String(round)}/package`)
}
