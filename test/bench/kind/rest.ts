import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { cpuSeconds, pssKilobytes } from '../rest.ts'
import { report } from '../support.ts'
import { kindShop } from './shop.ts'

const run = promisify(execFile)
const SECONDS = 60
const LOOK_MS = 2000

/** What a session costs that watches the shop in a cluster, detached, while nothing happens; and what it asks the cluster. */
export async function rest(): Promise<void> {
  const shop = await kindShop()
  await shop.endSession()
  await shop.up()
  const pid = await shop.place.sessionPid()
  if (pid === null) throw new Error('there is no session')
  const port = /server: https:\/\/[^:]+:(\d+)/.exec(await readFile(shop.kubeconfig, 'utf8'))?.[1] ?? ''
  // Past the garbage of coming up.
  await sleep(10_000)
  const before = await cpuSeconds(pid)
  const sent = await countSent(pid, port, SECONDS)
  const cpu = (await cpuSeconds(pid)) - before
  await report('kind-rest', {
    'session, CPU seconds a minute': (cpu * 60) / SECONDS,
    'session, PSS in MB (goal 200)': (await pssKilobytes(pid)) / 1024,
    'connections to the API server': sent.connections,
    // A request is at least one of them.
    'sent to the API server a minute, packets (goal 0)': (sent.packets * 60) / SECONDS,
    'sent to the API server a minute, bytes': (sent.bytes * 60) / SECONDS,
  })
}

interface Sent {
  readonly connections: number
  readonly packets: number
  readonly bytes: number
}

/** What a process sends to a port of this machine, by the kernel's count. */
async function countSent(pid: number, port: string, seconds: number): Promise<Sent> {
  const first = await sockets(pid, port)
  const last = new Map(first)
  for (let waited = 0; waited < seconds * 1000; waited += LOOK_MS) {
    await sleep(LOOK_MS)
    // Also one that comes and goes is seen, unless it lives shorter.
    for (const [name, count] of await sockets(pid, port)) last.set(name, count)
  }
  let [packets, bytes] = [0, 0]
  for (const [name, count] of last) {
    packets += count.packets - (first.get(name)?.packets ?? 0)
    bytes += count.bytes - (first.get(name)?.bytes ?? 0)
  }
  return { connections: first.size, packets, bytes }
}

async function sockets(
  pid: number,
  port: string,
): Promise<ReadonlyMap<string, { readonly packets: number; readonly bytes: number }>> {
  const { stdout } = await run('ss', ['-HOtinp', 'dport', '=', `:${port}`])
  const own = stdout.split('\n').filter((line) => line.includes(`pid=${String(pid)},`))
  const count = (line: string, name: string): number =>
    Number(new RegExp(`\\b${name}:(\\d+)`).exec(line)?.[1] ?? 0)
  return new Map(
    own.map((line) => [
      line.split(/\s+/)[3] ?? '',
      { packets: count(line, 'data_segs_out'), bytes: count(line, 'bytes_sent') },
    ]),
  )
}
