import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { Server, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The engine's API on a socket of its own, as far as a test scripts it. */
export interface FakeDocker {
  readonly endpoint: string
  readonly folder: string
  /** Answers by path without the query: a value is sent as JSON, a function gets the response to write to. */
  readonly answers: Record<string, unknown>
  /** Paths with their queries, in order. */
  readonly asked: string[]
  apiVersion: string
  /** Stops listening and breaks every connection. */
  stop(): Promise<void>
  start(): Promise<void>
  dispose(): Promise<void>
}

export async function startFakeDocker(): Promise<FakeDocker> {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-fake-'))
  const socket = join(folder, 'docker.sock')
  let server: Server | null = null
  const fake: FakeDocker = {
    endpoint: `unix://${socket}`,
    folder,
    answers: { '/containers/json': [], '/images/json': [], '/volumes': { Volumes: null } },
    asked: [],
    apiVersion: '1.45',
    async start() {
      server = createServer((request, response) => {
        const path = request.url ?? ''
        fake.asked.push(path)
        response.setHeader('Api-Version', fake.apiVersion)
        const answer = fake.answers[path.split('?')[0] ?? '']
        if (typeof answer === 'function')
          (answer as (response: ServerResponse, path: string) => void)(response, path)
        else if (answer === undefined) response.writeHead(404).end('{"message":"not there"}')
        else response.end(JSON.stringify(answer))
      })
      await new Promise<void>((done) => server?.listen(socket, done))
    },
    async stop() {
      const stopping = server
      server = null
      if (stopping === null) return
      const closed = new Promise((done) => stopping.close(done))
      stopping.closeAllConnections()
      await closed
      await rm(socket, { force: true })
    },
    async dispose() {
      await fake.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
  await fake.start()
  return fake
}

export interface FakeAnswer {
  readonly stdout?: string
  readonly stderr?: string
  readonly exitCode?: number
  /** Starts this program, then neither ends nor minds SIGTERM. */
  readonly spawns?: readonly string[]
}

/** A Compose program that prints what a test gives it and logs how it was called. */
export interface FakeCompose {
  readonly command: readonly string[]
  /** One entry a call: its arguments and its DOCKER_HOST. */
  calls(): Promise<readonly { readonly argv: readonly string[]; readonly dockerHost: string }[]>
}

/**
 * @param answers by verb (`create`), or verb and first option (`config --format`): what is printed, and the exit code.
 */
export async function writeFakeCompose(
  folder: string,
  answers: Readonly<Record<string, FakeAnswer>>,
): Promise<FakeCompose> {
  const log = join(folder, 'compose.log')
  const file = join(folder, 'docker-compose')
  const program = `#!${process.execPath}
const { appendFileSync } = require('node:fs')
const argv = process.argv.slice(2)
appendFileSync(${JSON.stringify(log)}, JSON.stringify({ argv, dockerHost: process.env.DOCKER_HOST }) + '\\n')
const answers = ${JSON.stringify(answers)}
const at = argv.findIndex((word) => ['config', 'create', 'build', 'down'].includes(word))
const answer = answers[argv.slice(at, at + 2).join(' ')] ?? answers[argv[at]] ?? { stderr: 'no such call', exitCode: 99 }
if (answer.spawns) {
  require('node:child_process').spawn(answer.spawns[0], answer.spawns.slice(1), { stdio: 'ignore' })
  process.on('SIGTERM', () => undefined)
  setInterval(() => undefined, 1000)
}
process.stdout.write(answer.stdout ?? '')
process.stderr.write(answer.stderr ?? '')
process.exitCode = answer.exitCode ?? 0
`
  await writeFile(file, program)
  await chmod(file, 0o755)
  return {
    command: [file],
    calls: async () =>
      (await readFile(log, 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { argv: string[]; dockerHost: string }),
  }
}
