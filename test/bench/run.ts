import { cold } from './cold.ts'
import { inside } from './kind/inside.ts'
import { live } from './live/live.ts'
import { nothing } from './nothing.ts'
import { rest } from './rest.ts'
import { startup } from './startup.ts'
import { watch } from './watch.ts'

// `inside` needs a cluster with pods, which somebody has to name.
const inPods = process.env['DEVSTACK_TEST_PODS'] === undefined ? {} : { inside }
const all: Readonly<Record<string, () => Promise<void>>> = {
  startup,
  nothing,
  cold,
  rest,
  watch,
  ...live,
  ...inPods,
}
const groups: Readonly<Record<string, readonly string[]>> = { live: Object.keys(live) }
const wanted = process.argv.slice(2).flatMap((name) => groups[name] ?? [name])
for (const name of wanted.length === 0 ? Object.keys(all) : wanted) {
  const bench = all[name]
  if (bench === undefined)
    throw new Error(`no benchmark ${name}; there are: live, ${Object.keys(all).join(', ')}`)
  await bench()
}
