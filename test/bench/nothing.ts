import { composeFile, ended, endSession, figure, launch, launcher, openStack, report } from './support.ts'

const SAMPLES = 15

/** All runs already and no session: from exec to exit. */
export async function nothing(): Promise<void> {
  const stack = await openStack('devstack-bench-nothing', 18_810)
  const times: Record<'devstack' | 'compose', number[]> = { devstack: [], compose: [] }
  const commands = {
    devstack: [launcher, '--project-name', stack.name, 'up', '--detach'],
    compose: ['docker', 'compose', '-p', stack.name, '-f', composeFile, 'up', '-d', '--wait'],
  }
  try {
    for (const side of ['compose', 'devstack'] as const) {
      // Each side on a stack that it brought up itself: neither recreates what the other made.
      await stack.compose('down', '--volumes')
      await ended(launch(commands[side], stack.env))
      for (let sample = 0; sample < SAMPLES; sample += 1) {
        if (side === 'devstack') await endSession(stack)
        const begin = performance.now()
        await ended(launch(commands[side], stack.env))
        times[side].push(performance.now() - begin)
      }
    }
    await endSession(stack)
  } finally {
    await stack.remove()
  }
  const [ours, theirs] = [figure(times.devstack), figure(times.compose)]
  await report('nothing', {
    'devstack up --detach, ms': ours,
    'docker compose up -d --wait, ms': theirs,
    'ratio of medians (goal 0.3)': ours.median / theirs.median,
  })
}
