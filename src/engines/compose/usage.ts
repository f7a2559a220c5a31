import type { InstanceUsage } from '../../orchestrator/ports.js'
import { isNotFound } from './docker.js'
import type { Docker } from './docker.js'

interface Stats {
  readonly read: string
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } }
  readonly memory_stats?: { readonly usage?: number; readonly stats?: Readonly<Record<string, number>> }
}

interface Sample {
  readonly cpuNs: number
  readonly atMs: number
}

/** Reads CPU and memory; remembers the last sample of each instance, since the engine tells only totals. */
export function createUsageReader(
  docker: Docker,
): (instances: readonly string[], signal: AbortSignal) => Promise<readonly InstanceUsage[]> {
  const last = new Map<string, Sample>()
  return async (instances, signal) => {
    for (const id of last.keys()) if (!instances.includes(id)) last.delete(id)
    return await Promise.all(
      instances.map(async (instance): Promise<InstanceUsage> => {
        const stats = await readStats(docker, instance, signal)
        const total = stats?.cpu_stats?.cpu_usage?.total_usage
        // A stopped container's stats are there, but empty.
        if (stats === null || total === undefined || stats.read.startsWith('0001-')) {
          return { instance, cpu: null, memoryBytes: null }
        }
        const sample = { cpuNs: total, atMs: Date.parse(stats.read) }
        const cpu = share(last.get(instance), sample)
        last.set(instance, sample)
        return { instance, cpu, memoryBytes: memoryOf(stats) }
      }),
    )
  }
}

async function readStats(docker: Docker, id: string, signal: AbortSignal): Promise<Stats | null> {
  try {
    const path = `/containers/${encodeURIComponent(id)}/stats`
    return await docker.get<Stats>(path, { stream: false, 'one-shot': true }, signal)
  } catch (error) {
    if (isNotFound(error)) return null
    throw error
  }
}

function share(before: Sample | undefined, now: Sample): number | null {
  if (before === undefined || now.atMs <= before.atMs) return null
  return Math.max(0, (now.cpuNs - before.cpuNs) / ((now.atMs - before.atMs) * 1e6))
}

/** Without the page cache that the kernel drops at need, as `docker stats` shows it; cgroup v2 and v1 name it differently. */
function memoryOf({ memory_stats: memory }: Stats): number | null {
  if (memory?.usage === undefined) return null
  const cache = memory.stats?.['inactive_file'] ?? memory.stats?.['total_inactive_file'] ?? 0
  return Math.max(0, memory.usage - cache)
}
