import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { watchedPart } from '../../../src/host/watch/rules.js'
import { TreeWatch } from '../../../src/host/watch/tree-watch.js'
import { View } from '../../../src/host/watch/view.js'
import { createWorld } from './world.js'

describe('more changes than the kernel keeps for a watcher', () => {
  it('lose none: what the events would have said is found by stat, and watched from then on', async () => {
    const world = await createWorld()
    for (const name of ['one', 'two']) mkdirSync(world.at(`src/${name}`))
    const told = new Set<string>()
    let settled = (): void => {}
    const rest = async (): Promise<void> => new Promise((resolve) => (settled = resolve))
    // In this thread, which reads nothing while it writes.
    const watch = new TreeWatch([new View(watchedPart(world.service([{}])))], {
      batch: (paths, isSettled) => {
        for (const path of paths) told.add(path)
        if (isSettled) settled()
      },
      warn: () => {},
    })
    await watch.ready

    const limit = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'))
    const expected = new Set<string>()
    // Each is two events: it is there, and it has content.
    for (let index = 0; index < limit / 2 + 100; index += 1) {
      expected.add(world.at(`src/one/f${String(index)}`))
      writeFileSync(world.at(`src/one/f${String(index)}`), 'x')
    }
    // None of these is told any more.
    rmSync(world.at('src/deep'), { recursive: true })
    renameSync(world.at('src/two'), world.at('src/three'))
    mkdirSync(world.at('src/two'))
    mkdirSync(world.at('src/new'))
    writeFileSync(world.at('src/new/file'), 'x')
    expected.add(world.at('src/new/file')).add(world.at('src/deep/b.py'))
    await rest()
    expect([...expected].filter((path) => !told.has(path))).toEqual([])

    for (const name of ['two', 'three', 'new']) writeFileSync(world.at(`src/${name}/later`), 'x')
    await rest()
    expect([...told]).toEqual(
      expect.arrayContaining(['two', 'three', 'new'].map((name) => world.at(`src/${name}/later`))),
    )
    watch.close()
  })
})
