import { expect, test } from 'vitest'
import type { Progress } from '../../../src/core/events.js'
import { pullImage } from '../../../src/engines/images/pull.js'
import { FakePrograms } from './fakes.js'

const signal = new AbortController().signal

function request(seen: Progress[] = []): Parameters<typeof pullImage>[2] {
  return { signal, output: () => undefined, progress: (progress) => seen.push(progress) }
}

test('tells how many layers are there', async () => {
  const lines = [
    '17: Pulling from library/postgres',
    'aaaaaaaaaaaa: Pulling fs layer',
    'bbbbbbbbbbbb: Already exists',
    'aaaaaaaaaaaa: Download complete',
    'aaaaaaaaaaaa: Pull complete',
    'Digest: sha256:00',
  ]
  const programs = new FakePrograms(({ output }) => {
    for (const line of lines) output?.(line)
    return Promise.resolve({})
  })
  const seen: Progress[] = []
  await pullImage('postgres:17', programs.run, request(seen))
  expect(programs.calls).toEqual([['docker', 'pull', '--', 'postgres:17']])
  expect(seen.map(({ step, steps, percent }) => [step, steps, percent])).toEqual([
    [0, 1, 0],
    [1, 2, 50],
    [1, 2, 80],
    [2, 2, 100],
  ])
})

test.each([
  [
    'Error response from daemon: pull access denied for x, repository does not exist',
    'PULL_FAILED',
    'docker login',
  ],
  ['toomanyrequests: You have reached your pull rate limit', 'PULL_FAILED', 'docker login raises'],
  ['manifest for x:1 not found: manifest unknown', 'PULL_FAILED', 'name and the tag'],
  ['dial tcp: lookup x: no such host', 'PULL_FAILED', 'check the network'],
  ['write /x: no space left on device', 'DISK_FULL', 'docker system df'],
])('%s', async (text, code, hint) => {
  const programs = new FakePrograms(() => Promise.resolve({ exitCode: 1, stderr: [text] }))
  await expect(pullImage('x:1', programs.run, request())).rejects.toMatchObject({
    code,
    why: expect.stringContaining(text) as string,
    hint: expect.stringContaining(hint) as string,
  })
})
