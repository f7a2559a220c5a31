import { readFile } from 'node:fs/promises'
import { endSession, openStack, report } from './support.ts'

const SECONDS = 60
/** Of Linux: `getconf CLK_TCK`. */
const TICKS_A_SECOND = 100

/** What a session costs that watches a running stack, detached, while nothing happens. */
export async function rest(): Promise<void> {
  const stack = await openStack('devstack-bench-rest', 18_830)
  try {
    await stack.devstack('up', '--detach')
    const { session } = JSON.parse(await stack.devstack('status', '--json')) as {
      readonly session: { readonly pid: number }
    }
    // Past the garbage of coming up.
    await pause(10)
    const before = await cpuSeconds(session.pid)
    await pause(SECONDS)
    const cpu = (await cpuSeconds(session.pid)) - before
    await report('rest', {
      'session, CPU seconds a minute (goal 0.3)': (cpu * 60) / SECONDS,
      'session, PSS in MB (goal 150)': (await pssKilobytes(session.pid)) / 1024,
    })
    await endSession(stack)
  } finally {
    await stack.remove()
  }
}

export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

export async function pssKilobytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${String(pid)}/smaps_rollup`, 'utf8')
  return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1])
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000))
}
