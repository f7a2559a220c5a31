import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { explainComposeErrors } from '../../../../src/engines/compose/source/explain.js'
import { Folder } from '../../../host/project/folder.js'
import { corpus, valid } from './corpus.js'
import { requestFor, tell } from './project.js'

/** What Compose itself says about the files: empty where it accepts them. It asks no engine for this. */
async function composeSays(
  folder: Folder,
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
) {
  const named = requestFor(folder, files).files.flatMap((file) => ['--file', file])
  const { PATH = '', HOME = '' } = process.env
  const outcome = await execa('docker', ['compose', ...named, 'config', '--quiet'], {
    cwd: folder.path,
    env: { PATH, HOME, ...env },
    extendEnv: false,
    reject: false,
  })
  return outcome.exitCode === 0 ? '' : outcome.stderr
}

describe('Compose refuses it, and it has a located problem', () => {
  test.each(corpus.filter(({ refused }) => refused !== false))('$name', async ({ files, env }) => {
    await using folder = await Folder.with(files)
    expect(await composeSays(folder, files, env ?? {})).not.toBe('')
    const { problems } = await explainComposeErrors(requestFor(folder, files, env))
    expect(problems.filter(({ stage, at }) => stage === 'config' && at !== null).length).toBeGreaterThan(0)
  })
})

describe('Compose accepts it, and there is nothing to tell before up', () => {
  const accepted = [...valid, ...corpus.filter(({ refused }) => refused === false)]
  test.each(accepted)('$name', async ({ files, env }) => {
    await using folder = await Folder.with(files)
    expect(await composeSays(folder, files, env ?? {})).toBe('')
    const { problems } = await explainComposeErrors(requestFor(folder, files, env))
    expect(
      problems.filter(({ stage }) => stage === 'config').map((problem) => tell(problem, folder)),
    ).toEqual([])
  })
})
