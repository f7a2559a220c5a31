import { performance } from 'node:perf_hooks'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { explainComposeErrors } from '../../../../src/engines/compose/source/explain.js'
import { Folder } from '../../../host/project/folder.js'
import { requestFor, tell } from './project.js'

const text = `name: shop
x-common: &common
  restart: unless-stopped
  environment: { A: "1", B: "\${B:-2}" }
services:
  nginx:
    <<: *common
    image: nginx:1
    ports: ["127.0.0.1:8080:80", "8443:443/tcp"]
    depends_on:
      api: { condition: service_healthy }
  api:
    <<: *common
    build: { context: ., dockerfile_inline: "FROM x", args: { V: 1 } }
    depends_on: [postgres]
    healthcheck: { test: ["CMD", "true"], interval: 5s, retries: 3 }
    volumes: ["socket:/run/app", "./api:/app:ro"]
    networks: [back]
    deploy: { resources: { limits: { memory: 256M, cpus: "0.5" } } }
  postgres:
    image: postgres:17
    volumes:
      - { type: volume, source: data, target: /data }
    networks: { back: { aliases: [db] } }
    secrets: [password]
volumes: { socket: , data: { driver: local } }
networks: { back: { internal: true } }
secrets: { password: { environment: PASSWORD } }
`

type Mutation = (lines: readonly string[], at: number, other: number) => readonly string[]

const splice =
  (count: number, ...added: readonly string[]): Mutation =>
  (lines, at) => [...lines.slice(0, at), ...added, ...lines.slice(at + count)]

const inLine =
  (change: (line: string, at: number) => string): Mutation =>
  (lines, at, other) =>
    lines.map((line, index) => (index === at ? change(line, other % (line.length + 1)) : line))

const mutations: Readonly<Record<string, Mutation>> = {
  'a line is lost': splice(1),
  'a line is twice': (lines, at) => splice(0, lines[at] ?? '')(lines, at, 0),
  'a line moves': (lines, at, other) =>
    splice(0, lines[at] ?? '')(splice(1)(lines, at, 0), other % lines.length, 0),
  'a line is indented': inLine((line) => `  ${line}`),
  'a line is outdented': inLine((line) => line.replace(/^ {2}/, '')),
  'a line begins with a tab': inLine((line) => `\t${line}`),
  'a letter is lost': inLine((line, at) => line.slice(0, at) + line.slice(at + 1)),
  'the end is cut off': (lines, at) => lines.slice(0, at),
  ...Object.fromEntries(
    [
      '[',
      ']',
      '{',
      '}',
      '"',
      "'",
      ':',
      ': ',
      '- ',
      '#',
      '&a ',
      '*a',
      '*common',
      '!!int ',
      '$',
      '${',
      '\0',
      '\u2028',
      '% ',
      '? ',
      '| ',
      '<<',
    ].map((piece) => [
      `${JSON.stringify(piece)} is put in`,
      inLine((line, at) => line.slice(0, at) + piece + line.slice(at)),
    ]),
  ),
}

test('the file itself has no problem', async () => {
  const files = { 'compose.yaml': text }
  await using folder = await Folder.with(files)
  expect((await explainComposeErrors(requestFor(folder, files))).problems).toEqual([])
})

test('however a file is broken: no crash, every problem at a place within it, and soon', async () => {
  await using folder = await Folder.with()
  const step = fc.record({
    kind: fc.constantFrom(...Object.keys(mutations)),
    at: fc.nat(60),
    other: fc.nat(60),
  })
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async (steps) => {
    let lines: readonly string[] = text.split('\n')
    for (const { kind, at, other } of steps)
      lines = mutations[kind]?.(lines, at % Math.max(lines.length, 1), other) ?? lines
    const files = { 'compose.yaml': lines.join('\n') }
    await folder.write(files)
    const start = performance.now()
    const { problems, warnings } = await explainComposeErrors(requestFor(folder, files))
    expect(performance.now() - start).toBeLessThan(5000)
    for (const problem of [...problems, ...warnings]) {
      expect(problem.message).not.toMatch(/\bundefined\b(?!")|\[object|\bNaN\b/)
      expect(tell(problem, folder)).toMatch(/^compose\.yaml:[1-9]\d*:[1-9]\d* ./)
      expect(problem.at?.line).toBeLessThanOrEqual(lines.length + 1)
    }
  })
  await fc.assert(property, { numRuns: 300 })
})
