import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { monotonic, observe } from '../../live/observer.ts'
import { figure } from '../support.ts'
import { report, samplesOr, sideBySide, until } from './figures.ts'
import { openSides, type Side } from './sides.ts'

const SAVES = 40
const APART_MS = 500

/** From before `write()` to the bytes in the container, seen there; the sides take turns. */
export async function bytes(): Promise<void> {
  await using sides = await openSides({ 'app.py': 'NUMBER = 0\n' })
  const times: Record<string, number[]> = { devstack: [], 'bind mount': [], 'compose watch': [] }
  let lost = 0
  const take = async (name: string, side: Side, number: number): Promise<void> => {
    await using observer = await observe(side.container)
    const text = `NUMBER = ${String(number)}\n${'# as long as a short module\n'.repeat(40)}`
    const seen = observer.sees('/app/src/app.py', text, 5000)
    // The observer has its request, and polls, before the save begins.
    await until(monotonic() + 30)
    const begin = monotonic()
    await writeFile(join(side.folder, 'app.py'), text)
    const at = await seen
    // The first save of each side only warms it up.
    if (at === null) lost += 1
    else if (number > 0) times[name]?.push(at - begin)
    await until(begin + APART_MS)
  }
  const saves = samplesOr(SAVES)
  for (let number = 0; number <= saves; number += 1)
    for (const [name, side] of Object.entries(sides.each)) await take(name, side, number)
  await report('live-bytes', {
    ...sideBySide('save -> bytes in the container', times),
    'compose watch / devstack, medians (goal 50)':
      figure(times['compose watch'] ?? []).median / figure(times['devstack'] ?? []).median,
    'saves that were not seen within 5 s': lost,
  })
}
