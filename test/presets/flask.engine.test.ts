import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engineIsThere } from '../contract/compose-there.js'
import { startLive, type Attached, type LiveProject } from './live-project.ts'

const BOOM = '/app/shop/blueprints/boom.py'

describe.skipIf(!(await engineIsThere()))('the Flask reloader in its container', () => {
  let project: LiveProject
  let api: Attached

  beforeAll(async () => {
    project = await startLive(['api', 'plain'])
    api = await project.attach('flask', 'api')
  })
  afterAll(async () => project.dispose())

  test('is attached to', () => {
    expect(api.reloader.server).toEqual({ name: 'devstack reloader', reason: null })
    expect(api.reloader.first).toMatchObject({ type: 'taken', what: 'start' })
  })

  test('a module is taken up by every worker', async () => {
    expect(await api.save({ [BOOM]: `${await api.read(BOOM)}\nMARK = 1\n` })).toMatchObject({
      type: 'taken',
      what: 'app',
    })
  })

  test('an error is failed at its place; the next good save is taken', async () => {
    const text = await api.read(BOOM)
    const line = text.split('\n').length
    expect(await api.save({ [BOOM]: `${text}def\n` })).toMatchObject({
      type: 'failed',
      place: { file: BOOM, line },
    })
    expect((await api.save({ [BOOM]: text })).type).toBe('taken')
  })

  test('a container that was started without it is told apart', async () => {
    const plain = await project.attach('flask', 'plain')
    expect(plain.reloader.first).toEqual({
      type: 'unproven',
      reason: 'the container was started without the reloader',
    })
    expect((await plain.save({ [BOOM]: await plain.read(BOOM) })).type).toBe('restart')
  })
})
