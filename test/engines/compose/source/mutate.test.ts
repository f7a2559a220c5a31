import { performance } from 'node:perf_hooks'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { explainComposeErrors } from '../../../../src/engines/compose/source/explain.js'
import { Folder } from '../../../host/project/folder.js'
import { requestFor, tell } from './project.js'
import { mutated, steps, text } from './mutations.js'

test('the file itself has no problem', async () => {
  const files = { 'compose.yaml': text }
  await using folder = await Folder.with(files)
  expect((await explainComposeErrors(requestFor(folder, files))).problems).toEqual([])
})

test('however a file is broken: no crash, every problem at a place within it, and soon', async () => {
  await using folder = await Folder.with()
  const property = fc.asyncProperty(steps, async (how) => {
    const files = { 'compose.yaml': mutated(how) }
    await folder.write(files)
    const start = performance.now()
    const { problems, warnings } = await explainComposeErrors(requestFor(folder, files))
    expect(performance.now() - start).toBeLessThan(5000)
    for (const problem of [...problems, ...warnings]) {
      expect(problem.message).not.toMatch(/\bundefined\b(?!")|\[object|\bNaN\b/)
      expect(tell(problem, folder)).toMatch(/^compose\.yaml:[1-9]\d*:[1-9]\d* ./)
      expect(problem.at?.line).toBeLessThanOrEqual(files['compose.yaml'].split('\n').length + 1)
    }
  })
  await fc.assert(property, { numRuns: 300 })
})
