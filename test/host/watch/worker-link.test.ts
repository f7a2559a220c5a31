import { expect, it } from 'vitest'
import type { Answer, Request } from '../../../src/host/watch/messages.js'
import { WorkerLink } from '../../../src/host/watch/worker-link.js'
import { createWorld } from './world.js'

it('the end of a worker that failed does not end the work of the next one', async () => {
  const world = await createWorld()
  const link = new WorkerLink()
  const watch = (id: number): Request => ({ type: 'watch', id, services: [world.service([{}])] })
  const answers: Answer['type'][] = []
  const id = await new Promise<number>((resolve, reject) => {
    // Nothing that a worker can read: it throws, and its thread ends with it.
    link.open((broken) => ({ type: 'watch', id: broken, services: null as never }), {
      answered: () => undefined,
      // At once, while the thread still goes down.
      lost: () => {
        const next = link.open(watch, {
          answered: ({ type }) => {
            answers.push(type)
            resolve(next)
          },
          lost: reject,
        })
      },
    })
  })
  expect(answers).toEqual(['watching'])
  link.close(id, true)
})

it('watching that ended says what brings it back', async () => {
  const world = await createWorld()
  // A rule that cannot be compiled is a bug; what is told is the session's failure.
  const broken = { ...world.service([{}]), build: 5 as never }
  await expect(world.sources.scan(broken, null, world.signal)).rejects.toMatchObject({
    code: 'OPERATION_FAILED',
    hint: 'devstack up',
  })
})
