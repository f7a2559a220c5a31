import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import tarStream from 'tar-stream'
import { expect, onTestFinished, test } from 'vitest'
import type { Write } from '../../../src/engines/compose/change-order.js'
import type { ContainerFiles } from '../../../src/engines/compose/container-files.js'
import type { DeliveryTask } from '../../../src/engines/compose/deliver.js'
import { createFileTimes } from '../../../src/engines/compose/file-times.js'
import { uploadWrites } from '../../../src/engines/compose/upload.js'

interface FakeContainer {
  readonly task: DeliveryTask
  /** By name: the whole seconds that each file had in every archive that it was sent in. */
  readonly seconds: Map<string, number[]>
}

/** Refuses every archive that holds a file called `bad`, as the engine does where something is in its way. */
function fakeContainer(received: () => Promise<void> = () => Promise.resolve()): FakeContainer {
  const seconds = new Map<string, number[]>()
  const files: ContainerFiles = {
    stat: () => Promise.resolve(null),
    async put(_id, _path, make) {
      const extract = tarStream.extract()
      Readable.from(await make()).pipe(extract)
      let refused = false
      for await (const { header } of extract) {
        const times = seconds.get(header.name) ?? []
        seconds.set(header.name, [...times, Math.floor((header.mtime?.getTime() ?? 0) / 1000)])
        refused ||= header.name === 'bad'
      }
      await received()
      if (refused) throw Object.assign(new Error('there is something in its way'), { statusCode: 400 })
    },
  }
  const task = {
    tools: { files },
    facts: {
      owner: { uid: 0, gid: 0 },
      binds: [],
      volumes: null,
      there: new Map([['/', '/']]),
      times: createFileTimes(() => 1_700_000_000_000),
    },
    instance: { id: 'c1', service: 'api', state: 'running' },
    rules: [],
    signal: AbortSignal.timeout(5000),
  } as unknown as DeliveryTask
  return { task, seconds }
}

async function writes(
  ...names: readonly string[]
): Promise<readonly (Write & { readonly source: string })[]> {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-upload-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return await Promise.all(
    names.map(async (name) => {
      const source = join(folder, name)
      await writeFile(source, name)
      return { type: 'write', source, target: `/${name}`, mode: 0o644 } as const
    }),
  )
}

test('a file that is sent again because another one was refused keeps its time', async () => {
  const { task, seconds } = fakeContainer()
  const { written, failed } = await uploadWrites(task, [], await writes('a', 'b', 'bad', 'c'), [])
  expect(Object.keys(written).toSorted()).toEqual(['/a', '/b', '/c'])
  expect(failed).toEqual([{ target: '/bad', cause: 'there is something in its way' }])
  expect(seconds.get('c')).toHaveLength(3)
  for (const times of seconds.values()) expect(new Set(times)).toEqual(new Set([1_700_000_000]))
})

test('one that was saved meanwhile gets a later one', async () => {
  const some = await writes('a', 'bad')
  const { task, seconds } = fakeContainer(() => utimes(some[0]?.source ?? '', 1_800_000_000, 1_800_000_000))
  await uploadWrites(task, [], some, [])
  expect(seconds.get('a')).toEqual([1_700_000_000, 1_700_000_001])
})
