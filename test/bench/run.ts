import { cold } from './cold.ts'
import { inside } from './kind/inside.ts'
import { kind } from './kind/kind.ts'
import { closeKindShop } from './kind/shop.ts'
import { live } from './live/live.ts'
import { nothing } from './nothing.ts'
import { rest } from './rest.ts'
import { startup } from './startup.ts'
import { watch } from './watch.ts'

// `inside` needs a cluster with pods, which somebody has to name.
const inPods: Readonly<Record<string, () => Promise<void>>> =
  process.env['DEVSTACK_TEST_PODS'] === undefined ? {} : { inside }
const usual: Readonly<Record<string, () => Promise<void>>> = { startup, nothing, cold, rest, watch, ...live }
// Clusters take minutes, so they are asked for.
const all = { ...usual, ...kind, ...inPods }
const groups: Readonly<Record<string, readonly string[]>> = {
  live: Object.keys(live),
  kind: Object.keys(kind),
}
const wanted = process.argv.slice(2).flatMap((name) => groups[name] ?? [name])
try {
  for (const name of wanted.length === 0 ? Object.keys({ ...usual, ...inPods }) : wanted) {
    const bench = all[name]
    if (bench === undefined)
      throw new Error(`no benchmark ${name}; there are: live, kind, ${Object.keys(all).join(', ')}`)
    await bench()
  }
} finally {
  await closeKindShop()
}
