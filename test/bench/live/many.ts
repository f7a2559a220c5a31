import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makePlace, type Place } from '../../e2e/support.ts'
import { monotonic, observe } from '../../live/observer.ts'
import type { Figure } from '../support.ts'
import { content, names } from './files.ts'
import { report, row, samplesOr } from './figures.ts'
import { idOf, PYTHON_FILES } from './sides.ts'

const COUNTS = [50, 50_000]
const STARTS = 5
const REST_SECONDS = 30
/** Of Linux: `getconf CLK_TCK`. */
const TICKS_A_SECOND = 100

/** What it costs to watch many files: to begin, to go on, and to keep in mind; beside few files. */
export async function many(): Promise<void> {
  let rows: Record<string, Figure | number> = {}
  for (const count of COUNTS) rows = { ...rows, ...(await watching(count)) }
  await report('live-many', rows)
}

async function watching(count: number): Promise<Record<string, Figure | number>> {
  const sources = Object.fromEntries(names(count).map((name) => [`src/${name}`, content(name, '0')]))
  await using place = await makePlace({ ...PYTHON_FILES, ...sources })
  await up(place)
  await using observer = await observe(await idOf(place, 'app'))
  const starts: number[] = []
  const saves: number[] = []
  const [name = ''] = names(1)
  for (let round = 1; round <= samplesOr(STARTS); round += 1) {
    await endSession(place)
    const begin = monotonic()
    await up(place)
    starts.push(monotonic() - begin)
    // A start that is over and does not watch yet would be none.
    const text = content(name, String(round))
    const saved = monotonic()
    await writeFile(join(place.folder, 'src', name), text)
    const at = await observer.sees(`/app/src/${name}`, text, 30_000)
    if (at !== null) saves.push(at - saved)
  }
  await pause(5)
  const pids = await family(Number(await place.sessionPid()))
  const before = await sum(pids, cpuSeconds)
  await pause(REST_SECONDS)
  const cpu = (await sum(pids, cpuSeconds)) - before
  const of = `${String(count)} files`
  return {
    ...row(`${of}: up --detach, all runs already, ms`, starts),
    ...row(`${of}: a save just after that -> bytes, ms`, saves),
    [`${of}: saves of ${String(starts.length)} that arrived`]: saves.length,
    [`${of}: CPU at rest, seconds a minute (goal 0)`]: (cpu * 60) / REST_SECONDS,
    [`${of}: session, PSS in MB`]: (await sum(pids, pssKilobytes)) / 1024,
  }
}

async function up(place: Place): Promise<void> {
  const ended = await place.devstack(['up', '--detach'])
  if (ended.code !== 0) throw new Error(ended.all)
}

async function endSession(place: Place): Promise<void> {
  const pid = await place.sessionPid()
  if (pid === null) return
  process.kill(pid, 'SIGTERM')
  while ((await place.sessionPid()) !== null) await pause(0.05)
}

/** A process and those that it started, and theirs. */
async function family(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8').catch(() => '')
  const children = text
    .split(' ')
    .filter((word) => word.trim() !== '')
    .map(Number)
  return [pid, ...(await Promise.all(children.map(family))).flat()]
}

async function sum(pids: readonly number[], of: (pid: number) => Promise<number>): Promise<number> {
  return (await Promise.all(pids.map(of))).reduce((total, one) => total + one, 0)
}

async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_A_SECOND
}

async function pssKilobytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${String(pid)}/smaps_rollup`, 'utf8').catch(() => '')
  return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0)
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000))
}
