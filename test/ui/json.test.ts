import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { Event } from '../../src/core/events.js'
import { reduce } from '../../src/core/reduce.js'
import { initialState } from '../../src/core/state.js'
import { jsonLine, renderJson, withoutText } from '../../src/ui/json.js'
import { crashed, ready, starting, StorySource } from './story.js'

test('schema, number, time and type come first', () => {
  const source = ready(new StorySource())
  const [first] = source.events
  expect(Object.keys(JSON.parse(jsonLine(first as Event)) as object)).toEqual([
    'schema',
    'seq',
    'at',
    'type',
    'project',
    'folder',
    'engine',
    'pid',
    'version',
  ])
})

test('every Event is a line of JSON and nothing else is printed; replaying them gives the state', async () => {
  const source = new StorySource()
  const stdout = new PassThrough()
  const renderer = renderJson(source, { stdout })
  crashed(source)
  source.log('api', ['\u001B[2J hostile \u2028 "quoted"\nline'])
  await renderer.close()
  const lines = String(stdout.read()).trimEnd().split('\n')
  const events = lines.map((line) => JSON.parse(line) as Event & { readonly schema: string })
  expect(events.map((event) => event.seq)).toEqual(source.events.map((_, index) => index + 1))
  expect(new Set(events.map((event) => event.schema))).toEqual(new Set(['devstack.event/1']))
  const bare = events.map(({ schema: _schema, ...event }) => event)
  expect(bare).toEqual(source.events)
  expect(bare.reduce(reduce, initialState)).toEqual(source.getState())
})

test('a fresh snapshot prints nothing: it is no Event', async () => {
  const source = ready(new StorySource())
  const stdout = new PassThrough()
  const renderer = renderJson(source, { stdout })
  source.replace(source.getState())
  await renderer.close()
  expect(stdout.read()).toBeNull()
})

test('a slow reader: nothing is lost or out of order', async () => {
  const source = starting(new StorySource())
  const stdout = new PassThrough({ highWaterMark: 256 })
  const renderer = renderJson(source, { stdout })
  const from = source.events.length
  for (let index = 0; index < 300; index += 1) source.log('api', [`line ${String(index)}`])
  const chunks: string[] = []
  stdout.on('data', (chunk: Buffer) => chunks.push(String(chunk)))
  await renderer.close()
  await new Promise((resolve) => setImmediate(resolve))
  const seqs = chunks
    .join('')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as Event).seq)
  expect(seqs).toEqual(source.events.slice(from).map((event) => event.seq))
})

test('a reader that does not read: text is left out and counted, numbers stay without gaps', async () => {
  const source = starting(new StorySource())
  const stdout = new PassThrough({ highWaterMark: 16 })
  const renderer = renderJson(source, { stdout })
  const text = 'x'.repeat(100_000)
  for (let index = 0; index < 120; index += 1) source.log('api', [text])
  source.healthy('elasticsearch', 6000)
  const chunks: string[] = []
  stdout.on('data', (chunk: Buffer) => chunks.push(String(chunk)))
  await renderer.close()
  await new Promise((resolve) => setImmediate(resolve))
  const events = chunks
    .join('')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event)
  expect(events).toHaveLength(121)
  expect(events.at(-1)?.type).toBe('serviceHealthChanged')
  const dropped = events.filter(
    (event) => event.type === 'logged' && event.dropped === 1 && event.lines.length === 0,
  )
  expect(dropped.length).toBeGreaterThan(20)
})

test('only log text is left out', () => {
  const [event] = ready(new StorySource()).events
  expect(withoutText(event as Event)).toBe(event)
})
