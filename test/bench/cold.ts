import {
  ended,
  endSession,
  figure,
  launch,
  launcher,
  composeFile,
  openStack,
  report,
  untilReady,
} from './support.ts'

const SAMPLES = Number(process.env['DEVSTACK_SAMPLES'] ?? 7)

/** Images there, volumes empty: devstack and plain Compose in turn, both stopped by the same observer. */
export async function cold(): Promise<void> {
  const stack = await openStack('devstack-bench-cold', 18_800)
  const times: Record<'devstack' | 'compose', number[]> = { devstack: [], compose: [] }
  const commands = {
    devstack: [launcher, '--project-name', stack.name, 'up', '--detach'],
    compose: ['docker', 'compose', '-p', stack.name, '-f', composeFile, 'up', '-d', '--wait'],
  }
  try {
    // Once each, not counted: images of the project are built, caches are warm.
    await stack.devstack('up', '--detach')
    await stack.devstack('down', '--volumes')
    await stack.compose('up', '-d', '--wait')
    await stack.compose('down', '--volumes')
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      for (const side of ['devstack', 'compose'] as const) {
        const begin = performance.now()
        const child = launch(commands[side], stack.env)
        times[side].push(await untilReady(stack, begin))
        await ended(child)
        if (side === 'devstack') await endSession(stack)
        await stack.compose('down', '--volumes')
      }
    }
  } finally {
    await stack.remove()
  }
  const [ours, theirs] = [figure(times.devstack), figure(times.compose)]
  await report('cold', {
    'devstack up, ms': ours,
    'docker compose up -d --wait, ms': theirs,
    'ratio of medians (goal 0.9)': ours.median / theirs.median,
  })
}
