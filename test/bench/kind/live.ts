import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monotonic, observe, type Observer } from '../../live/observer.ts'
import { row, samplesOr, sideBySide, until } from '../live/figures.ts'
import { answers } from '../live/http.ts'
import { report } from '../support.ts'
import { kindShop, type KindShop } from './shop.ts'

const SAVES = 30
const APART_MS = 500
const REPLICAS = 3
const EDITED = 'fixtures/shop/api/shop/blueprints/boom.py'
/** No program reads it, so that what is measured is the way into the pod. */
const DATA = 'fixtures/shop/api/shop/data.txt'
const DELIVERED = '/app/shop/data.txt'
const LAYOUT = 'kind/overlays/local/shop.yaml'

/** Of a save: until the bytes are in the pod, in the last of several pods, and until the new code answers at the address. */
export async function live(): Promise<void> {
  const shop = await kindShop()
  await shop.up()
  const times: Record<string, number[]> = {}
  const lost = { count: 0 }
  await one(shop, times, lost)
  const answered = await flask(shop, lost)
  const original = await shop.place.read(LAYOUT)
  const several: number[] = []
  try {
    await shop.place.write(LAYOUT, original.replace(/^( +replicas:) 1$/m, `$1 ${String(REPLICAS)}`))
    await shop.up()
    await replicas(shop, several, lost)
  } finally {
    await shop.place.write(LAYOUT, original)
    await shop.up()
  }
  await report('kind-live', {
    ...sideBySide('save -> bytes in the pod (goal 10)', times),
    ...row(`save -> bytes in the last of ${String(REPLICAS)} pods, ms (goal 20)`, several),
    ...sideBySide('save -> new answer (goal 60)', { 'devstack, through nginx': answered }),
    'saves that were not seen (goal 0)': lost.count,
  })
}

interface Lost {
  count: number
}

/** The pods that run the API. */
async function pods(shop: KindShop, count: number): Promise<readonly string[]> {
  const inside = ['--namespace', shop.namespace]
  await shop.kubectl(...inside, 'rollout', 'status', 'deployment/shop', '--timeout=3m')
  const names = await shop.kubectl(...inside, 'get', 'pods', '--output', 'name')
  const found = names.split('\n').filter((name) => name.startsWith('pod/shop-'))
  if (found.length !== count) throw new Error(`${String(count)} pods are wanted: ${found.join(', ')}`)
  return found.map((name) => name.replace('pod/', ''))
}

function observePod({ kubeconfig, namespace }: KindShop, pod: string): Promise<Observer> {
  const argv = ['--kubeconfig', kubeconfig, '--namespace', namespace, 'exec', '-i', pod, '-c', 'api', '--']
  return observe(pod, ['kubectl', ...argv])
}

/** devstack and `kubectl cp` take turns. */
async function one(shop: KindShop, times: Record<string, number[]>, lost: Lost): Promise<void> {
  const [pod = ''] = await pods(shop, 1)
  const folder = await mkdtemp(join(tmpdir(), 'devstack-bench-copy-'))
  const copied = join(folder, 'data.txt')
  const inside = ['--namespace', shop.namespace]
  const sides = {
    devstack: {
      path: DELIVERED,
      save: (text: string) => shop.place.write(DATA, text),
    },
    'kubectl cp': {
      path: '/tmp/data.txt',
      save: async (text: string) => {
        await writeFile(copied, text)
        await shop.kubectl(...inside, 'cp', copied, `${pod}:/tmp/data.txt`, '--container', 'api')
      },
    },
  }
  await using observer = await observePod(shop, pod)
  try {
    const saves = samplesOr(SAVES)
    for (let number = 0; number <= saves; number += 1)
      for (const [name, side] of Object.entries(sides)) {
        const text = textOf(`${name} ${String(number)}`)
        const seen = observer.sees(side.path, text, 10_000)
        // The observer has its request, and polls, before the save begins.
        await until(monotonic() + 50)
        const begin = monotonic()
        await side.save(text)
        const at = await seen
        // The first save of each side only warms it up.
        if (at === null) lost.count += 1
        else if (number > 0) (times[name] ??= []).push(at - begin)
        await until(begin + APART_MS)
      }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function replicas(shop: KindShop, times: number[], lost: Lost): Promise<void> {
  const observers: Observer[] = []
  try {
    for (const pod of await pods(shop, REPLICAS)) observers.push(await observePod(shop, pod))
    const saves = samplesOr(SAVES)
    for (let number = 0; number <= saves; number += 1) {
      const text = textOf(`replicas ${String(number)}`)
      const seen = observers.map((observer) => observer.sees(DELIVERED, text, 10_000))
      await until(monotonic() + 50)
      const begin = monotonic()
      await shop.place.write(DATA, text)
      const at = (await Promise.all(seen)).filter((time) => time !== null)
      if (at.length < REPLICAS) lost.count += 1
      else if (number > 0) times.push(Math.max(...at) - begin)
      await until(begin + APART_MS)
    }
  } finally {
    for (const observer of observers) await observer[Symbol.asyncDispose]()
  }
}

/** Through address, forward, nginx and the reloader, which answers with a constant of the edited source. */
async function flask(shop: KindShop, lost: Lost): Promise<number[]> {
  const original = await shop.place.read(EDITED)
  const marked = (mark: string): string =>
    `${original}\n\n@boom.get("/mark")\ndef mark() -> dict[str, str]:\n    return {"mark": "${mark}"}\n`
  const times: number[] = []
  const url = new URL('/api/mark', shop.address)
  try {
    const saves = samplesOr(SAVES)
    for (let number = 0; number <= saves; number += 1) {
      const mark = `mark-${String(number)}.`
      const begin = monotonic()
      await shop.place.write(EDITED, marked(mark))
      const at = await answers(url, mark, 10_000)
      if (at === null) lost.count += 1
      else if (number > 0) times.push(at - begin)
      await until(begin + APART_MS)
    }
  } finally {
    await shop.place.write(EDITED, original)
  }
  return times
}

function textOf(mark: string): string {
  return `${mark}\n${'as long as a short module is\n'.repeat(40)}`
}
