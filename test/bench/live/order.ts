import { copyFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { monotonic, observe } from '../../live/observer.ts'
import { content, sha256 } from './files.ts'
import { report, samplesOr, until } from './figures.ts'
import { openSides } from './sides.ts'

const SAVES = 1000
const EVERY_MS = 100
const FILES = Array.from({ length: 50 }, (_, index) => `module${String(index)}.py`)

type Save = (path: string, text: string) => Promise<void>

const PATTERNS: readonly Save[] = [
  (path, text) => writeFile(path, text),
  async (path, text) => {
    await writeFile(`${path}.tmp`, text)
    await rename(`${path}.tmp`, path)
  },
  async (path, text) => {
    await copyFile(path, `${path}~`)
    await writeFile(path, text)
    await unlink(`${path}~`)
  },
  async (path, text) => {
    await unlink(path)
    await writeFile(path, text)
  },
]

/** 1,000 saves at ten a second over 50 files, in four ways: each content that the container had, in order. */
export async function order(): Promise<void> {
  const first = Object.fromEntries(FILES.map((name) => [name, content(name, '0')]))
  await using sides = await openSides(first)
  const { container, folder } = sides.each.devstack
  const target = (name: string): string => `/app/src/${name}`
  const last = new Map(FILES.map((name) => [name, 0]))
  const saves = samplesOr(SAVES)
  const begin = monotonic()
  await using observer = await observe(container)
  const recording = observer.records(FILES.map(target))
  for (let number = 1; number <= saves; number += 1) {
    const name = FILES[(number * 7) % FILES.length] ?? ''
    await PATTERNS[number % PATTERNS.length]?.(join(folder, name), content(name, String(number)))
    last.set(name, number)
    await until(begin + number * EVERY_MS)
  }
  await until(monotonic() + 3000)
  const seen = await recording.stop()
  const final = FILES.map((name) => [target(name), sha256(content(name, String(last.get(name))))])
  const { wrong } = await observer.settles(Object.fromEntries(final) as Record<string, string>, 1000)
  await report('live-order', { ...judge(seen), saves, 'final files that are wrong (goal 0)': wrong })
}

/** What of the contents seen is no saved one, comes before an older one, or never came. */
function judge(seen: readonly (readonly [path: string, text: string])[]): Record<string, number> {
  const newest = new Map<string, number>()
  const versions = new Set<number>()
  let torn = 0
  let outOfOrder = 0
  for (const [path, text] of seen) {
    const [name = '', version = ''] = text.split('\n')[0]?.split(' ') ?? []
    if (text !== content(name, version)) {
      torn += 1
      continue
    }
    const number = Number(version)
    if (number < (newest.get(path) ?? 0)) outOfOrder += 1
    newest.set(path, Math.max(number, newest.get(path) ?? 0))
    if (number > 0) versions.add(number)
  }
  return {
    'contents seen': seen.length,
    'versions seen': versions.size,
    'half-written contents seen': torn,
    'older versions after newer ones (goal 0)': outOfOrder,
  }
}
