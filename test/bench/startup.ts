import { spawn } from '@lydell/node-pty'
import { ended, endSession, figure, launch, launcher, openStack, report, root } from './support.ts'

const SAMPLES = 20
const SERVICES = ['api', 'elasticsearch', 'migrate', 'nginx', 'postgres', 'redis', 'web']

/** The commands that are typed all day, through the launcher. */
export async function startup(): Promise<void> {
  const stack = await openStack('devstack-bench-startup', 18_820)
  try {
    await stack.devstack('up', '--detach')
    const name = ['--project-name', stack.name]
    const node = await time(() => ended(launch([process.execPath, '-e', '0'], stack.env)))
    const version = await time(() => ended(launch([launcher, '--version'], stack.env)))
    const status = await time(() => ended(launch([launcher, ...name, 'status', '--json'], stack.env)))
    const attached: number[] = []
    for (let sample = 0; sample < SAMPLES; sample += 1)
      attached.push(await firstFrame([...name, 'attach'], stack.env))
    await endSession(stack)
    const frames: number[] = []
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      // No session: the command itself starts it. The stack runs, so that only the start is seen.
      frames.push(await firstFrame([...name, 'up'], stack.env))
      await endSession(stack)
    }
    await report('startup', {
      'bare node -e 0, ms': node,
      '--version, ms (goal 80)': version,
      'status --json, ms (goal 250)': status,
      'attach: first frame with the services, ms (goal 300)': figure(attached),
      'up: first frame with the services, ms (goal 300)': figure(frames),
    })
  } finally {
    await stack.remove()
  }
}

async function time(work: () => Promise<unknown>): Promise<ReturnType<typeof figure>> {
  const times: number[] = []
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const begin = performance.now()
    await work()
    times.push(performance.now() - begin)
  }
  return figure(times)
}

/** Runs a command in a terminal until its screen names every service; then hangs up, which only detaches. */
async function firstFrame(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const begin = performance.now()
  const terminal = spawn(launcher, [...argv], {
    cols: 100,
    rows: 40,
    cwd: root,
    env: { ...env, CI: '', TERM: 'xterm-256color' },
  })
  let screen = ''
  const took = await new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no frame names the services:\n${screen}`)), 20_000)
    terminal.onData((data) => {
      screen += data
      if (!SERVICES.every((service) => screen.includes(service))) return
      clearTimeout(timer)
      resolve(performance.now() - begin)
    })
  })
  terminal.kill('SIGHUP')
  await new Promise<void>((resolve) => terminal.onExit(() => resolve()))
  return took
}
