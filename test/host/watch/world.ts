import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Service, WatchRule } from '../../../src/core/project.js'
import { createSources } from '../../../src/host/watch/sources.js'
import type { SourceBatch, Sources, SourceScan } from '../../../src/orchestrator/ports.js'
import { service } from '../../core/builders.js'

/** A folder of this test's own, and the host's side of live update on it. */
export interface World {
  readonly folder: string
  readonly sources: Sources
  readonly signal: AbortSignal
  /** The absolute path of one in the folder. */
  at(path: string): string
  write(files: Readonly<Record<string, string>>): Promise<void>
  service(rules: readonly Partial<WatchRule>[], more?: Partial<Service>): Service
  /** The targets that a scan finds. */
  targets(of: Service, paths?: readonly string[]): Promise<readonly (string | null)[]>
  scan(of: Service, paths?: readonly string[]): Promise<SourceScan>
  /** What a scan refuses, by path in the folder. */
  refused(of: Service, paths?: readonly string[]): Promise<Readonly<Record<string, string>>>
  /** Resolves once the services are watched. */
  watch(...services: readonly Service[]): Promise<Watching>
}

/** A watch whose batches are kept. */
export interface Watching {
  /** Paths in the folder. */
  readonly batches: readonly { readonly paths: readonly string[]; readonly settled: boolean }[]
  readonly warnings: readonly string[]
  /** All that was told so far, each path once, in order. */
  told(): readonly string[]
  /** Resolves at the batch with which the burst under way, or the next one, is over. */
  rest(): Promise<void>
  end(): Promise<void>
}

export async function createWorld(): Promise<World> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'devstack-watch-')))
  const controller = new AbortController()
  onTestFinished(async () => {
    controller.abort()
    await rm(folder, { recursive: true, force: true })
  })
  const sources = createSources()
  const { signal } = controller
  const at = (path: string): string => (path === '' ? folder : join(folder, path))
  const scan: World['scan'] = async (of, paths) => sources.scan(of, paths?.map(at) ?? null, signal)
  const world: World = {
    folder,
    sources,
    signal,
    at,
    async write(files) {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(at(path)), { recursive: true })
        await writeFile(at(path), text)
      }
    },
    service: (rules, more = {}) =>
      service('api', [], { watch: rules.map((rule) => watchRule(at('src'), rule)), binds: [], ...more }),
    scan,
    targets: async (of, paths) => (await scan(of, paths)).files.map((file) => file.target).sort(byText),
    refused: async (of, paths) =>
      Object.fromEntries(
        (await scan(of, paths)).refused.map(({ path, reason }) => [path.slice(folder.length + 1), reason]),
      ),
    watch: async (...services) => startWatch(sources, folder, services, signal),
  }
  await world.write({ 'src/a.py': 'a', 'src/deep/b.py': 'b' })
  return world
}

function byText(a: string | null, b: string | null): number {
  return (a ?? '').localeCompare(b ?? '')
}

/** A rule on this path, with what the test is about. */
function watchRule(path: string, more: Partial<WatchRule>): WatchRule {
  return {
    action: 'sync',
    path,
    target: '/app',
    ignore: [],
    include: [],
    initialSync: false,
    exec: null,
    at: null,
    ...more,
  }
}

async function startWatch(
  sources: Sources,
  folder: string,
  services: readonly Service[],
  signal: AbortSignal,
): Promise<Watching> {
  const controller = new AbortController()
  const batches: SourceBatch[] = []
  const warnings: string[] = []
  let begun = false
  let wake = (): void => {}
  const until = async (is: () => boolean): Promise<void> => {
    while (!is()) await new Promise<void>((resolve) => (wake = resolve))
  }
  const warn = (message: string, hint: string | null): void => void warnings.push(`${message}: ${hint ?? ''}`)
  const stop = AbortSignal.any([signal, controller.signal])
  const reading = (async () => {
    for await (const batch of sources.watch(services, warn, stop)) {
      if (batch.paths.length === 0) begun = true
      else batches.push({ ...batch, paths: batch.paths.map((path) => path.slice(folder.length + 1)) })
      wake()
    }
  })()
  await until(() => begun)
  return {
    batches,
    warnings,
    told: () => [...new Set(batches.flatMap(({ paths }) => paths))],
    rest: async () => {
      const before = batches.length
      await until(() => batches.slice(before).some(({ settled }) => settled))
    },
    end: async () => {
      controller.abort()
      await reading
    },
  }
}
