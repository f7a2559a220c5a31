import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { onEngine, rounds } from '../e2e/on-engine.js'
import { docker, type Place } from '../e2e/support.js'
import { ANCHORS, change, hashes, operations, type Operation } from './model.js'
import { inside, makeTiny, TARGET } from './tiny.js'

// Whatever happens to files, container and session: at rest the container has what the host has, hash by hash, and
// all that is its own.

/** The container's own files, inside the target. */
const OWN: Readonly<Record<string, string>> = {
  'uploads/photo.jpg': 'a photo that somebody sent\n',
  'node_modules/left-pad/index.js': 'installed in the container\n',
  'kept/made-by-the-app.log': 'beside what is delivered\n',
  'generated.txt': 'at the top\n',
}

onEngine('live update', () => {
  let place: Place
  let root: string

  beforeAll(async () => {
    const anchors = Array.from({ length: 30 }, (_, index) => [`${ANCHORS}/${String(index)}`, 'stays\n'])
    place = await makeTiny({
      ...(Object.fromEntries(anchors) as Record<string, string>),
      'a/b': 'in the image\n',
      'kept/c/d.txt': 'in the image as well\n',
      'e.py': 'pass\n',
    })
    root = join(place.folder, 'src')
    await up()
    await makeOwn()
  })
  afterAll(async () => place[Symbol.asyncDispose]())

  const up = async (): Promise<void> => {
    const ended = await place.devstack(['up', '--detach'])
    expect(ended.code, ended.all).toBe(0)
  }
  const containerId = async (): Promise<string> => (await place.containers())[0]?.id ?? ''
  const makeOwn = async (): Promise<void> => {
    for (const [path, text] of Object.entries(OWN)) {
      const script = 'mkdir -p -- "$(dirname "$1")" && printf %s "$2" > "$1"'
      expect(await inside(place, 'sh', '-c', script, 'sh', `${TARGET}/${path}`, text), path).toBe('')
    }
  }

  const perform: Readonly<Record<'restart' | 'recreate' | 'killSession', () => Promise<void>>> = {
    restart: async () => void (await docker('restart', await containerId())),
    recreate: async () => {
      await docker('rm', '--force', await containerId())
      await up()
      // They went with the old container.
      await makeOwn()
    },
    killSession: async () => {
      const pid = await place.sessionPid()
      if (pid !== null) process.kill(pid, 'SIGKILL')
      // Edits may come before the next session.
      pendingUp = true
    },
  }
  let pendingUp = false

  const run = async (sequence: readonly Operation[]): Promise<void> => {
    for (const operation of sequence) {
      switch (operation.type) {
        case 'restart':
        case 'recreate':
        case 'killSession':
          await perform[operation.type]()
          break
        default:
          await change(root, operation)
      }
    }
    if (pendingUp) await up()
    pendingUp = false
  }

  const inContainer = async (): Promise<Readonly<Record<string, string>>> => {
    const files = ['-type', 'f', '-not', '-path', `${TARGET}/${ANCHORS}/*`]
    const printed = await inside(place, 'find', TARGET, ...files, '-exec', 'sha256sum', '-z', '{}', '+')
    const found: Record<string, string> = {}
    for (const line of Buffer.from(printed ?? '', 'latin1')
      .toString('utf8')
      .split('\0')) {
      const path = line.slice(66 + TARGET.length + 1)
      if (line !== '') found[path] = line.slice(0, 64)
    }
    return found
  }

  const times = rounds(5, 500)
  it(
    `has at rest what the host has, and keeps what is its own (${String(times)} of 500 sequences)`,
    async () => {
      const own = await inContainer().then((all) =>
        Object.fromEntries(Object.keys(OWN).map((path) => [path, all[path]])),
      )
      await fc.assert(
        fc
          .asyncProperty(operations, async (sequence) => {
            await run(sequence)
            const fresh = await place.devstack(['wait', '--for', 'fresh', '--timeout', '30s'])
            expect(fresh.code, fresh.all).toBe(0)
            expect(await inContainer()).toEqual({ ...own, ...(await hashes(root)) })
          })
          .afterEach(async () => {
            if (pendingUp) await up()
            pendingUp = false
            // What is left of one sequence is no part of the next, so that what fails can be made shorter.
            for (const entry of await readdir(root))
              if (entry !== ANCHORS) await rm(join(root, entry), { recursive: true })
          }),
        { numRuns: times, seed: 4, interruptAfterTimeLimit: times * 30_000, markInterruptAsFailure: true },
      )
    },
    120_000 + times * 60_000,
  )
})
