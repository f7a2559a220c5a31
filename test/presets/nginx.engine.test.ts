import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engineIsThere } from '../contract/compose-there.js'
import { startLive, type Attached, type LiveProject } from './live-project.ts'

const API = '/etc/nginx/shop/api.conf'

describe.skipIf(!(await engineIsThere()))('nginx in its container', () => {
  let project: LiveProject
  let nginx: Attached

  beforeAll(async () => {
    project = await startLive(['nginx'])
    nginx = await project.attach('nginx', 'nginx')
  })
  afterAll(async () => project.dispose())

  const marked = async (mark: string) =>
    (await nginx.read(API)).replace(/there is nothing here[^"]*/, `there is nothing here: ${mark}`)

  test('is found and attached to', () => {
    expect(nginx.reloader.server).toEqual({ name: 'nginx', reason: null })
    expect(nginx.reloader.first).toEqual({ type: 'taken', what: 'start', detail: '2 workers' })
  })

  test('a configuration is taken up: whoever asks then gets the new answer', async () => {
    for (const mark of ['one', 'two', 'three', 'four', 'five']) {
      expect((await nginx.save({ [API]: await marked(mark) })).type).toBe('taken')
      expect(await nginx.ask(8080, '/api')).toContain(`nothing here: ${mark}`)
    }
  })

  test('a bad one is failed at its line, and the old one serves on', async () => {
    const text = await nginx.read(API)
    const lines = text.split('\n').length
    expect(await nginx.save({ [API]: `${text}serve well;\n` })).toMatchObject({
      type: 'failed',
      message: 'unknown directive "serve"',
      place: { file: API, line: lines },
    })
    expect(await nginx.ask(8080, '/api')).toContain('nothing here: five')
    expect((await nginx.save({ [API]: text })).type).toBe('taken')
  })

  test('asked without a file it reads all again', async () => {
    expect(
      (await nginx.reloader.takeUp({ written: [], deleted: [] }, new AbortController().signal)).type,
    ).toBe('taken')
  })
})
