import { createHash } from 'node:crypto'
import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { createWorld, type World } from './world.js'

let world: World
beforeEach(async () => {
  world = await createWorld()
})

/** Something that happens to the files; one that is not possible as things stand does nothing. */
type Operation =
  | { readonly type: 'write' | 'append' | 'save' | 'delete' | 'folder' | 'mass'; readonly path: string }
  | { readonly type: 'rename' | 'swap'; readonly path: string; readonly to: string }
  /** All of it replaced, as by another branch. */
  | { readonly type: 'checkout'; readonly path: string }
  | { readonly type: 'pause'; readonly ms: number }

/** Few names, so that files become folders, folders files, and both come back where they were. */
const path = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
  .map((names) => names.join('/'))

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constantFrom('write', 'append', 'save'), path }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom('delete', 'folder', 'mass'), path }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constantFrom('rename', 'swap'), path, to: path }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('checkout'), path }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('pause'), ms: fc.constantFrom(0, 5, 60, 150) }) },
)

let written = 0
function apply(root: string, step: Exclude<Operation, { type: 'pause' }>): void {
  const at = join(root, step.path)
  const text = String((written += 1))
  switch (step.type) {
    case 'write':
      mkdirSync(dirname(at), { recursive: true })
      writeFileSync(at, text)
      return
    case 'append':
      appendFileSync(at, text)
      return
    case 'save':
      writeFileSync(`${at}.tmp`, text)
      renameSync(`${at}.tmp`, at)
      return
    case 'delete':
      rmSync(at, { recursive: true })
      return
    case 'folder':
      mkdirSync(at, { recursive: true })
      return
    case 'mass':
      for (let index = 0; index < 40; index += 1) {
        mkdirSync(join(at, `d${String(index % 7)}`), { recursive: true })
        writeFileSync(join(at, `d${String(index % 7)}`, `${String(index)}.py`), text)
      }
      return
    case 'rename':
      renameSync(at, join(root, step.to))
      return
    case 'swap':
      renameSync(at, join(root, 'swap'))
      renameSync(join(root, step.to), at)
      renameSync(join(root, 'swap'), join(root, step.to))
      return
    case 'checkout':
      rmSync(root, { recursive: true })
      mkdirSync(dirname(at), { recursive: true })
      writeFileSync(at, text)
      return
    default:
      step satisfies never
  }
}

function contents(folder: string, below = '', found = new Map<string, string>()): Map<string, string> {
  for (const name of readdirSync(join(folder, below))) {
    const path = join(below, name)
    if (lstatSync(join(folder, path)).isDirectory()) contents(folder, path, found)
    else
      found.set(
        path,
        createHash('sha256')
          .update(readFileSync(join(folder, path)))
          .digest('hex'),
      )
  }
  return found
}

describe('whatever happens to the files', () => {
  it('every one that differs from before has been told when they rest, and a look by stat finds no more', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 25 }), async (steps) => {
        const root = world.at('src')
        rmSync(root, { recursive: true, force: true })
        mkdirSync(join(root, 'a/b'), { recursive: true })
        for (const name of ['a/x', 'a/b/y', 'z']) writeFileSync(join(root, name), name)
        const of = world.service([{}], { name: `api${String((written += 1))}` })
        const watching = await world.watch(of)
        const before = contents(root)

        for (const step of steps) {
          if (step.type === 'pause') await new Promise((resolve) => setTimeout(resolve, step.ms))
          else {
            try {
              apply(root, step)
            } catch {
              // Not possible as things stand.
            }
          }
        }
        mkdirSync(root, { recursive: true })
        writeFileSync(join(root, 'last'), '')
        while (!watching.batches.some(({ settled, paths }) => settled && paths.includes('src/last')))
          await watching.rest()

        const after = contents(root)
        const differing = [...new Set([...before.keys(), ...after.keys()])].filter(
          (name) => before.get(name) !== after.get(name),
        )
        const told = new Set(watching.told())
        expect(differing.filter((name) => !told.has(`src/${name}`))).toEqual([])
        expect(await world.sources.recheck(of, world.signal)).toEqual([])
        await watching.end()
      }),
      { seed: 4, numRuns: Number(process.env['DEVSTACK_RANDOM_RUNS'] ?? 25), endOnFailure: false },
    )
  }, 600_000)
})
