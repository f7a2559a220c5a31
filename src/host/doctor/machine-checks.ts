import { readFile } from 'node:fs/promises'
import { availableParallelism, release, totalmem } from 'node:os'
import { readMachine } from '../bootstrap/machine.js'
import { atLeast } from '../bootstrap/versions.js'
import type { CheckDefinition, Finding } from './check.js'
import { gib, pass, remedy, warning, fail } from './check.js'

const leastNode = '22.22'

/** What devstack runs on. All of it is read from files: cheap. */
export const machineChecks: readonly CheckDefinition[] = [
  {
    category: 'machine',
    name: 'system',
    look: async ({ env }) => {
      const { os, platform } = await readMachine(env)
      const name = os['PRETTY_NAME'] ?? platform
      const details = [
        `${platform} ${process.arch}, kernel ${release()}, ${String(availableParallelism())} processors`,
      ]
      if (platform === 'win32')
        return fail(
          'Windows itself is not supported',
          remedy('run devstack inside WSL 2', ['wsl', '--install', '-d', 'Debian']),
        )
      return pass(name, details)
    },
  },
  {
    category: 'machine',
    name: 'node',
    blocking: true,
    look: () => {
      const version = process.versions.node
      const found = atLeast(version, leastNode)
        ? pass(`Node ${version}`, [process.execPath])
        : fail(
            `Node ${version} is older than ${leastNode}`,
            remedy('start devstack by its launcher, which brings Node 24'),
          )
      return Promise.resolve(found)
    },
  },
  {
    category: 'machine',
    name: 'memory',
    look: async () => judgeMemory(totalmem(), await availableMemory()),
  },
  {
    category: 'machine',
    name: 'file watches',
    look: async ({ cluster }) => {
      const [watches, instances] = await Promise.all(
        ['max_user_watches', 'max_user_instances'].map(readInotify),
      )
      if (watches === undefined || watches === null || instances === undefined || instances === null)
        return null
      return judgeWatches(watches, instances, cluster === true)
    },
  },
]

/** Seven services need about 1 GiB at rest; builds come on top. */
export function judgeMemory(total: number, available: number | null): Finding {
  const text = `${gib(total)} of memory${available === null ? '' : `, ${gib(available)} available`}`
  if (total < 3.5 * 1024 ** 3)
    return warning(
      `${text}: a whole stack is tight below 4 GiB`,
      remedy('bring up fewer services: devstack up SERVICE'),
    )
  if (available !== null && available < 1.5 * 1024 ** 3)
    return warning(
      `${text}: a stack of seven services needs about 1.5 GiB`,
      remedy('end other programs, or bring up fewer services'),
    )
  return pass(text)
}

async function availableMemory(): Promise<number | null> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '')
  const kib = /^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1]
  return kib === undefined ? null : Number(kib) * 1024
}

async function readInotify(name: string): Promise<number | null> {
  const text = await readFile(`/proc/sys/fs/inotify/${name}`, 'utf8').catch(() => null)
  return text === null ? null : Number(text)
}

/** A node of a cluster took some 27 of 128 when it was tried: with the fifth the kubelet did not start. kind's own advice is 512. */
const CLUSTER_INSTANCES = 512

/** A watched folder takes a watch; every dev server in a container takes an instance of the host's share. */
export function judgeWatches(watches: number, instances: number, cluster: boolean): Finding {
  const text = `${String(watches)} watches, ${String(instances)} instances a user`
  const scarce = cluster && instances < CLUSTER_INSTANCES
  if (watches >= 65_536 && instances >= 128 && !scarce) return pass(text)
  return warning(
    `${text}: ${scarce ? 'enough for some four nodes of clusters' : 'large source trees need more'}`,
    remedy(
      'raise the limits until the next boot (put them into /etc/sysctl.d to keep them)',
      ['sudo', 'sysctl', '-w', 'fs.inotify.max_user_watches=524288'],
      ['sudo', 'sysctl', '-w', 'fs.inotify.max_user_instances=512'],
    ),
  )
}
