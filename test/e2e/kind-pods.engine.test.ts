import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, vi } from 'vitest'
import { rounds, seeded } from './on-engine.js'
import { kubectl, makeKindPlace, onKind } from './on-kind.js'
import type { Place } from './support.js'

// Whatever takes a pod away: the one that comes in its place has all that was saved before devstack calls it live.

const SOURCE = '/app/src'
const REPLICAS = 2

const files = {
  'devstack.yaml': 'engine: kind\nkind: { manifests: manifests }\n',
  'compose.yaml': `services:
  app:
    build: .
    develop: { watch: [{ action: sync, path: src, target: ${SOURCE} }] }
`,
  Dockerfile: `FROM devstack/base:local\nCOPY src ${SOURCE}\n`,
  'manifests/app.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: { name: app }
spec:
  replicas: ${String(REPLICAS)}
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: app
          image: app
          # What the program finds as it begins is kept for the test.
          command: [sh, -c, 'cp -r ${SOURCE} /tmp/copy; mv /tmp/copy /tmp/begun; exec sleep infinity']
`,
  'src/a.py': 'of the image\n',
  'src/deleted.py': 'of the image, and deleted before the first pod goes\n',
}

interface ListedPod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string }
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
}

onKind('a pod that is taken away at a random moment', () => {
  const times = rounds(10, 200)
  it(
    `is replaced by one that is live with all that was saved (${String(times)} of 200)`,
    async () => {
      await using place = await makeKindPlace(files)
      const up = await place.devstack(['up', '--detach'])
      expect(up.code, up.all).toBe(0)
      await rm(join(place.folder, 'src/deleted.py'))
      const random = seeded(5)
      for (let round = 0; round < times; round += 1) {
        const about = `round ${String(round)}`
        const before = await readyPods(place.name)
        expect(before, about).toHaveLength(REPLICAS)
        await saveSome(place, `${about}, before`, random)
        const waited = await place.devstack(['wait', '--for', 'fresh', 'app', '--timeout', '60s'])
        expect(waited.code, `${about}: ${waited.all}`).toBe(0)
        const saved = await folderOf(place)
        const victim = before[Math.floor(random() * before.length)] ?? ''
        // From before the pod goes to after the next one is there.
        const saving = saveSome(place, `${about}, meanwhile`, random, 2500)
        await sleep(random() * 300)
        await takeAway(place, victim, round)
        const touched = await saving
        await untilReplaced(place.name, victim)
        const fresh = await place.devstack(['wait', '--for', 'fresh', 'app', '--timeout', '60s'])
        expect(fresh.code, `${about}: ${fresh.all}`).toBe(0)
        const expected = await folderOf(place)
        const after = await readyPods(place.name)
        expect(after, about).not.toContain(victim)
        const [born = ''] = after.filter((pod) => !before.includes(pod))
        const texts = async (pod: string) => [
          pod === born ? 'new' : 'kept',
          await folderIn(place.name, pod, SOURCE),
        ]
        const there: unknown = Object.fromEntries(await Promise.all(after.map(texts)))
        expect(there, about).toEqual({ kept: expected, new: expected })
        // Its program began with them. What was saved meanwhile came before that, or later.
        const begun = await onceThere(() => folderIn(place.name, born, '/tmp/begun'))
        expect(without(begun, touched), about).toEqual(without(saved, touched))
      }
    },
    120_000 + times * 20_000,
  )
})

/** Its copy takes a moment. */
async function onceThere<T>(read: () => Promise<T>): Promise<T> {
  return await vi.waitFor(read, { timeout: 30_000, interval: 200 })
}

/** Those files that nobody wrote or deleted meanwhile. */
function without(
  texts: Readonly<Record<string, string>>,
  touched: ReadonlySet<string>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(texts).filter(([path]) => !touched.has(path)))
}

/** Writes, and now and then deletes, some of few files, spread over a time. Returns which. */
async function saveSome(
  place: Place,
  what: string,
  random: () => number,
  overMs = 50,
): Promise<ReadonlySet<string>> {
  const touched = new Set<string>()
  const saves = 1 + Math.floor(random() * 6)
  for (let save = 0; save < saves; save += 1) {
    await sleep((random() * overMs) / saves)
    const path = join(random() < 0.3 ? 'deep' : '', `${'abcdefgh'[Math.floor(random() * 8)] ?? ''}.py`)
    const file = join(place.folder, 'src', path)
    touched.add(path)
    await mkdir(dirname(file), { recursive: true })
    if (random() < 0.1) await rm(file, { force: true })
    else await writeFile(file, `${what}, save ${String(save)}\n`)
  }
  return touched
}

/** In turn: deleted, deleted without any grace, and evicted as from a node that lacks something. */
async function takeAway(place: Place, pod: string, round: number): Promise<void> {
  const inside = ['--namespace', place.name]
  if (round % 3 === 0) await kubectl(...inside, 'delete', 'pod', pod, '--wait=false')
  else if (round % 3 === 1)
    await kubectl(...inside, 'delete', 'pod', pod, '--wait=false', '--force', '--grace-period=0')
  else {
    const file = join(place.folder, '../eviction.json')
    const metadata = { name: pod, namespace: place.name }
    await writeFile(file, JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata }))
    const path = `/api/v1/namespaces/${place.name}/pods/${pod}/eviction`
    await kubectl('create', '--raw', path, '--filename', file)
  }
}

async function readyPods(namespace: string): Promise<readonly string[]> {
  const text = await kubectl('--namespace', namespace, 'get', 'pods', '--output', 'json')
  const { items } = JSON.parse(text) as { readonly items: readonly ListedPod[] }
  return items.filter(isReady).map(({ metadata }) => metadata.name)
}

function isReady({ metadata, status }: ListedPod): boolean {
  if (metadata.deletionTimestamp !== undefined) return false
  return status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true
}

async function untilReplaced(namespace: string, victim: string): Promise<void> {
  const replaced = async (): Promise<boolean> => {
    const pods = await readyPods(namespace)
    return pods.length === REPLICAS && !pods.includes(victim)
  }
  await expect.poll(replaced, { timeout: 60_000, interval: 100 }).toBe(true)
}

/** Path in the folder -> text. */
async function folderOf(place: Place): Promise<Readonly<Record<string, string>>> {
  const folder = join(place.folder, 'src')
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const texts = paths.map(
    async (path) => [path.slice(folder.length + 1), await readFile(path, 'utf8')] as const,
  )
  return Object.fromEntries(await Promise.all(texts))
}

/** The same of a folder in a pod; each file has one line. */
async function folderIn(
  namespace: string,
  pod: string,
  folder: string,
): Promise<Readonly<Record<string, string>>> {
  const argv = ['grep', '--recursive', '--no-messages', '', folder]
  const text = await kubectl('--namespace', namespace, 'exec', pod, '--container', 'app', '--', ...argv)
  const lines = text.split('\n').map((line) => {
    const at = line.indexOf(':')
    return [line.slice(folder.length + 1, at), `${line.slice(at + 1)}\n`] as const
  })
  return Object.fromEntries(lines)
}
