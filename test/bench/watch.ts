import { build } from 'esbuild'
import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Sources } from '../../src/orchestrator/ports.js'
import { figure, report, root, type Figure } from './support.ts'

type Side = 'none' | 'devstack' | 'chokidar'

const ROUNDS = 30
const SAVES = 40
const TICKS_A_SECOND = 100

/** What watching costs who writes, and how soon it tells: devstack's beside chokidar, each in a process of its own. */
export async function watch(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'devstack-bench-watch-'))
  const bundle = join(folder, 'bundle')
  try {
    await bundleSources(bundle)
    await report('watch', {
      ...(await bursts(folder, bundle)),
      ...(await saves(folder, bundle)),
      ...(await large(folder, bundle)),
      ...(await looks(folder, bundle)),
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** As in the product: a file for this thread, one for the worker. */
async function bundleSources(outdir: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: { sources: 'src/host/watch/sources.ts', 'watch-worker': 'src/host/watch/worker.ts' },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    banner: {
      js: "import { createRequire as __make } from 'node:module'; const require = __make(import.meta.url);",
    },
    logLevel: 'warning',
  })
  writeFileSync(join(outdir, 'package.json'), '{"type":"module"}')
}

/** 1,000 files of 1 KB in 10 new folders: how long the writing takes, and from its first write until all are told. */
async function bursts(folder: string, bundle: string): Promise<Record<string, Figure>> {
  const writing = { none: [], devstack: [], chokidar: [] } as Record<Side, number[]>
  const telling = { none: [], devstack: [], chokidar: [] } as Record<Side, number[]>
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const side of ['none', 'devstack', 'chokidar'] as const) {
      const at = join(folder, `burst-${side}-${String(round)}`)
      mkdirSync(at)
      const watcher = await startSide(side, at, bundle)
      await pause(300)
      const begin = performance.now()
      writeTree(at, 1000, 10)
      writing[side].push(performance.now() - begin)
      if (watcher !== null) {
        await watcher.told(1000)
        telling[side].push(performance.now() - begin)
        watcher.end()
      }
    }
  }
  return {
    'writing 1,000 files, not watched, ms': figure(writing.none),
    'writing 1,000 files, devstack, ms': figure(writing.devstack),
    'writing 1,000 files, chokidar, ms': figure(writing.chokidar),
    'first of them -> all told, devstack, ms': figure(telling.devstack),
    'first of them -> all told, chokidar, ms': figure(telling.chokidar),
  }
}

/** From the end of a save until another thread's owner hears of it. */
async function saves(folder: string, bundle: string): Promise<Record<string, Figure | number>> {
  const results: Record<string, Figure | number> = {}
  for (const side of ['devstack', 'chokidar'] as const) {
    const at = join(folder, `saves-${side}`)
    writeTree(at, 200, 10)
    const watcher = await startSide(side, at, bundle)
    if (watcher === null) continue
    const samples: number[] = []
    for (let save = 0; save < SAVES; save += 1) {
      await pause(500)
      const next = watcher.next()
      const started = performance.timeOrigin + performance.now()
      writeFileSync(join(at, `d${String(save % 10)}`, `${String(save % 10)}.py`), `save ${String(save)}`)
      samples.push((await next) - started)
    }
    results[`save -> told, ${side}, ms`] = figure(samples)
    results[`200 files: memory above node -e 0, ${side}, MB`] = (pssKb(watcher.pid) - watcher.bootKb) / 1024
    watcher.end()
  }
  return results
}

/** 50,000 files in 2,500 folders. */
async function large(folder: string, bundle: string): Promise<Record<string, Figure | number>> {
  const at = join(folder, 'large')
  writeTree(at, 50_000, 2500)
  const results: Record<string, Figure | number> = {}
  const rewrite = (text: string): number => {
    const begin = performance.now()
    for (let index = 0; index < 20_000; index += 1) writeFileSync(join(at, fileName(index, 2500)), text)
    return performance.now() - begin
  }
  results['20,000 of them change: writing, not watched, ms'] = rewrite('main')
  for (const side of ['devstack', 'chokidar'] as const) {
    const begin = performance.now()
    const watcher = await startSide(side, at, bundle)
    if (watcher === null) continue
    results[`50,000 files: start, ${side}, ms`] = performance.now() - begin - watcher.bootMs
    await pause(3000)
    results[`50,000 files: watches, ${side}`] = inotifyWatches(watcher.pid)
    const before = cpuSeconds(watcher.pid)
    await pause(10_000)
    results[`50,000 files: CPU s in 10 s of rest, ${side}`] = cpuSeconds(watcher.pid) - before
    results[`50,000 files: memory above node -e 0, ${side}, MB`] =
      (pssKb(watcher.pid) - watcher.bootKb) / 1024
    results[`20,000 of them change: writing, ${side}, ms`] = rewrite(`branch of ${side}`)
    const wrote = performance.now()
    await watcher.told(20_000)
    results[`20,000 of them change: last write -> all told, ${side}, ms`] = performance.now() - wrote
    results[`20,000 of them change: batches, ${side}`] = watcher.batches()
    watcher.end()
  }
  return results
}

/** Whole looks at 20,000 files, in this process. */
async function looks(folder: string, bundle: string): Promise<Record<string, Figure>> {
  const at = join(folder, 'looks')
  writeTree(at, 20_000, 1000)
  const sources = await loadSources(bundle)
  const of = benchService(at)
  const { signal } = new AbortController()
  const samples = {
    first: [] as number[],
    again: [] as number[],
    recheck: [] as number[],
    one: [] as number[],
  }
  const take = async (into: number[], work: () => Promise<unknown>): Promise<void> => {
    const begin = performance.now()
    await work()
    into.push(performance.now() - begin)
  }
  await pause(2500)
  await take(samples.first, async () => sources.scan(of, null, signal))
  for (let round = 0; round < 20; round += 1) {
    await take(samples.again, async () => sources.scan(of, null, signal))
    await take(samples.recheck, async () => sources.recheck(of, signal))
    await take(samples.one, async () => sources.scan(of, [join(at, fileName(round, 1000))], signal))
  }
  return {
    '20,000 files: hashed the first time, ms': figure(samples.first),
    '20,000 files: scanned again, ms': figure(samples.again),
    '20,000 files: recheck by stat, ms': figure(samples.recheck),
    'one file: scan, ms': figure(samples.one),
  }
}

// ---- sides ----------------------------------------------------------------------------------------------------------

interface Watcher {
  readonly pid: number
  readonly bootMs: number
  readonly bootKb: number
  /** Resolves when so many different paths were told since the start. */
  told(count: number): Promise<void>
  /** When the next change was heard of, on the clock of all processes. */
  next(): Promise<number>
  batches(): number
  end(): void
}

interface Message {
  readonly type: 'booted' | 'watching' | 'told'
  readonly count: number
  readonly batches: number
  readonly at: number
}

async function startSide(side: Side, folder: string, bundle: string): Promise<Watcher | null> {
  if (side === 'none') return null
  const begin = performance.now()
  const child = fork(fileURLToPath(import.meta.url), ['--side', side, folder, bundle])
  const messages: Message[] = []
  let wake = (): void => {}
  child.on('message', (message: Message) => {
    messages.push(message)
    wake()
  })
  const until = async <T>(find: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      await new Promise<void>((resolve) => (wake = resolve))
    }
  }
  await until(() => messages.find(({ type }) => type === 'booted'))
  const bootMs = performance.now() - begin
  const bootKb = pssKb(child.pid ?? 0)
  child.send('go')
  await until(() => messages.find(({ type }) => type === 'watching'))
  return watcherOf(child, messages, until, { bootMs, bootKb })
}

function watcherOf(
  child: ChildProcess,
  messages: readonly Message[],
  until: <T>(find: () => T | undefined) => Promise<T>,
  boot: Pick<Watcher, 'bootMs' | 'bootKb'>,
): Watcher {
  return {
    ...boot,
    pid: child.pid ?? 0,
    told: async (count) => {
      await until(() => messages.find((message) => message.count >= count))
    },
    next: async () => {
      const seen = messages.length
      return (await until(() => messages[seen])).at
    },
    batches: () => messages.at(-1)?.batches ?? 0,
    end: () => void child.kill(),
  }
}

/** In the process of one side: watches, and says how many different paths it heard of. */
async function beSide(side: Side, folder: string, bundle: string): Promise<void> {
  const told = new Set<string>()
  let batches = 0
  const say = (type: Message['type']): void =>
    void process.send?.({ type, count: told.size, batches, at: performance.timeOrigin + performance.now() })
  say('booted')
  await new Promise((resolve) => process.once('message', resolve))
  if (side === 'chokidar') {
    const { watch } = await import('chokidar')
    const watcher = watch(folder, { ignoreInitial: true, followSymlinks: false, atomic: false })
    watcher.on('ready', () => say('watching'))
    watcher.on('all', (event, path) => {
      if (event !== 'add' && event !== 'change' && event !== 'unlink') return
      told.add(path)
      say('told')
    })
    return
  }
  const sources = await loadSources(bundle)
  for await (const { paths } of sources.watch(
    [benchService(folder)],
    () => {},
    new AbortController().signal,
  )) {
    if (paths.length > 0) batches += 1
    for (const path of paths) told.add(path)
    say(paths.length === 0 ? 'watching' : 'told')
  }
}

async function loadSources(bundle: string): Promise<Sources> {
  const module = (await import(pathToFileURL(join(bundle, 'sources.js')).href)) as {
    createSources(): Sources
  }
  return module.createSources()
}

function benchService(path: string): Parameters<Sources['scan']>[0] {
  const rule = { action: 'sync', path, target: '/app', ignore: ['**/*.log', 'node_modules'], include: [] }
  const watch = [{ ...rule, initialSync: false, exec: null, at: null }]
  return { name: 'api', watch, binds: [], build: null } as unknown as Parameters<Sources['scan']>[0]
}

// ---- files and processes --------------------------------------------------------------------------------------------

function fileName(index: number, folders: number): string {
  return `d${String(index % folders)}/${String(index)}.py`
}

function writeTree(at: string, files: number, folders: number): void {
  const text = 'x'.repeat(1024)
  for (let index = 0; index < folders; index += 1)
    mkdirSync(join(at, `d${String(index)}`), { recursive: true })
  for (let index = 0; index < files; index += 1) writeFileSync(join(at, fileName(index, folders)), text)
}

function inotifyWatches(pid: number): number {
  return readdirSync(`/proc/${String(pid)}/fdinfo`)
    .map((descriptor) => readFileSync(`/proc/${String(pid)}/fdinfo/${descriptor}`, 'utf8'))
    .flatMap((text) => text.split('\n').filter((line) => line.startsWith('inotify wd:'))).length
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

function pssKb(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${String(pid)}/smaps_rollup`, 'utf8'))?.[1])
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

const [flag, side, folder, bundle] = process.argv.slice(2)
if (flag === '--side') await beSide(side as Side, folder ?? '', bundle ?? '')
