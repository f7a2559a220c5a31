import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ensureSession } from '../../src/cli/launch.js'
import { runSession } from '../../src/cli/run-session.js'
import { createEngine, type Learned } from '../../src/cli/engine.js'
import { serverFile, type StackRef } from '../../src/cli/stack.js'
import { DevstackError } from '../../src/core/error.js'
import { fresh, StorySource } from '../ui/story.js'
import { fakeProject, type FakeProject } from './fake-session.js'

/** Runs a session of the stack until it listens, looks, and ends it. */
async function whileItRuns(
  stack: StackRef,
  { env }: FakeProject,
  lasting: boolean,
  look: () => Promise<void>,
): Promise<void> {
  const listening = Promise.withResolvers<void>()
  let stop: () => void = () => undefined
  const session = runSession(stack, {
    env,
    lasting,
    onListening: () => listening.resolve(),
    onStop: (end) => {
      stop = end
    },
  })
  await Promise.race([listening.promise, session])
  await look().finally(() => stop())
  await session
}

describe('which server a session was started with', () => {
  it('is written by the session itself, before anybody can join, for nobody else to read', async () => {
    await using project = await fakeProject()
    const stack = await project.stack({ server: 'production' })
    await whileItRuns(stack, project, true, async () => {
      const file = serverFile(stack.stateFolder)
      expect(await readFile(file, 'utf8')).toBe('production')
      expect((await stat(file)).mode & 0o777).toBe(0o600)
    })
  })

  it('is remembered until the other is asked for', async () => {
    await using project = await fakeProject()
    await whileItRuns(await project.stack({ server: 'production' }), project, true, async () => {
      expect((await project.stack()).server).toBe('production')
      expect((await project.stack({ server: 'reloader' })).server).toBe('reloader')
    })
    expect((await project.stack()).server).toBe('production')
  })

  it('is not changed by one that loses the stack to another', async () => {
    await using project = await fakeProject()
    const other = { ...(await project.stack()), server: 'reloader' } as const
    await whileItRuns(await project.stack({ server: 'production' }), project, true, async () => {
      await expect(runSession(other, { env: project.env, lasting: true })).rejects.toMatchObject({
        code: 'LOCKED',
      })
      expect((await project.stack()).server).toBe('production')
    })
  })

  it('is not changed by a short command', async () => {
    await using project = await fakeProject()
    const stack = await project.stack({ server: 'production' })
    await whileItRuns(stack, project, false, async () => {
      await expect(stat(serverFile(stack.stateFolder))).rejects.toMatchObject({ code: 'ENOENT' })
    })
  })

  it('lets an up join it that asks for the same, or for none', async () => {
    await using project = await fakeProject()
    const source = fresh(new StorySource())
    const stack = await project.stack({ server: 'production' })
    await writeFile(serverFile(stack.stateFolder), 'production')
    await using _session = await project.serve(source)
    for (const server of ['production', null] as const) {
      const { client, started } = await ensureSession(stack, project.env, { fromStart: false, server })
      client.close()
      expect(started).toBe(false)
    }
    expect(source.sent).toEqual([])
  })
})

it('brings back what devstack.yaml names now, not what it named when the session began', async () => {
  await using project = await fakeProject()
  const config = join(project.folder, 'devstack.yaml')
  const naming = async (file: string): Promise<void> =>
    writeFile(config, `services:\n  api:\n    bring_back: [${file}]\n`)
  await naming('first.json')
  const learned: Learned = { wrapped: new Set(), bringBack: {} }
  const engine = await createEngine(await project.stack(), project.env, learned)
  expect(learned.bringBack).toEqual({ api: [join(project.folder, 'first.json')] })
  await naming('second-file.json')
  const look = { services: [], profiles: [], freePorts: false, purpose: 'look' } as const
  // No engine answers; what devstack.yaml says is read all the same.
  await engine
    .resolve(look, () => undefined, AbortSignal.timeout(20_000))
    .catch((error: unknown) => expect(error).toBeInstanceOf(DevstackError))
  expect(learned.bringBack).toEqual({ api: [join(project.folder, 'second-file.json')] })
})
