import { execFile } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * Ends what a devstack that was killed left running: its kind goes on without it, and when that fails it removes every node of
 * the name, also those of the next one. It is known by the kubeconfig that it writes, which is ours alone.
 */
export async function endOrphans(kubeconfig: string, signal: AbortSignal): Promise<void> {
  for (let round = 0; ; round++) {
    const left = await findOrphans(kubeconfig)
    if (left.length === 0) return
    // At first it may remove what it has made.
    for (const pid of left) end(pid, round < 50 ? 'SIGTERM' : 'SIGKILL')
    await wait(200, undefined, { signal }).catch(() => undefined)
    signal.throwIfAborted()
  }
}

function end(pid: number, how: NodeJS.Signals): void {
  try {
    process.kill(pid, how)
  } catch {
    // it has ended
  }
}

async function findOrphans(kubeconfig: string): Promise<readonly number[]> {
  const processes = process.platform === 'linux' ? await readProc() : await askPs()
  return processes
    .filter(({ argv }) => basename(argv[0] ?? '') === 'kind' && argv.includes(kubeconfig))
    .map(({ pid }) => pid)
}

interface Running {
  readonly pid: number
  readonly argv: readonly string[]
}

async function readProc(): Promise<readonly Running[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(
    ids.map(async (id) => {
      try {
        if ((await stat(`/proc/${id}`)).uid !== process.getuid?.()) return null
        const text = await readFile(`/proc/${id}/cmdline`, 'utf8')
        return { pid: Number(id), argv: text.split('\0') }
      } catch {
        // it has ended
        return null
      }
    }),
  )
  return found.filter((one) => one !== null)
}

function askPs(): Promise<readonly Running[]> {
  return new Promise((resolve) => {
    execFile('ps', ['-xo', 'pid=,command='], (_error, stdout) => {
      const lines = stdout.split('\n').map((line) => /^\s*(\d+) (.*)$/.exec(line))
      const rows = lines.filter((match) => match !== null)
      resolve(rows.map(([, pid, command = '']) => ({ pid: Number(pid), argv: command.split(' ') })))
    })
  })
}
