import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { DeliveredFiles, FileChange, Reloader, TakeUpResult } from '../../src/orchestrator/ports.js'
import { wrapCommand } from '../../src/presets/command.js'
import { livePreset } from '../../src/presets/live.js'
import { ENDPOINT } from '../contract/compose-there.js'
import { makeComposeProject } from '../contract/compose-project.js'
import { startDrive } from '../contract/drive.js'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const support = join(root, 'src/presets')

/** The services of the shop that are edited, each alone: no page that is asked for here needs another. */
const COMPOSE = `
services:
  api:
    build:
      args: { PYTHON_IMAGE: '\${PYTHON_IMAGE:-python:3.13-slim}' }
      context: ${root}/fixtures/shop/api
      secrets: [ca]
      target: dev
    command: ${JSON.stringify(wrapCommand('flask', ['uwsgi', '--ini', '/app/uwsgi.ini']))}
    environment: &stores
      DATABASE_URL: postgresql+psycopg://shop@postgres/shop
      ELASTICSEARCH_URL: http://elasticsearch:9200
      REDIS_URL: redis://redis:6379/0
    init: true
    user: app
    # A container has it before it starts; where it is delivered is the session's matter and tested there.
    volumes: ['${support}/flask/reloader:/.devstack/flask:ro']
  plain:
    build:
      args: { PYTHON_IMAGE: '\${PYTHON_IMAGE:-python:3.13-slim}' }
      context: ${root}/fixtures/shop/api
      secrets: [ca]
      target: dev
    environment: *stores
    init: true
    user: app
    volumes: ['${support}/flask/reloader:/.devstack/flask:ro']
  web:
    build:
      args: { NODE_IMAGE: '\${NODE_IMAGE:-node:24-slim}' }
      context: ${root}/fixtures/shop/web
      secrets: [ca]
      target: dev
    init: true
    ports: ['127.0.0.1::5173']
    user: node
  nginx:
    build:
      args: { NGINX_IMAGE: '\${NGINX_IMAGE:-nginx:1.28}' }
      context: ${root}/compose/nginx
    init: true
    ports: ['127.0.0.1::8080']
    user: nginx
secrets:
  ca: { file: '\${CA_BUNDLE:-${root}/compose/ca-none.pem}' }
`

/** One service in a real container, and devstack's preset attached to it. */
export interface Attached {
  readonly reloader: Reloader
  readonly changes: readonly TakeUpResult[]
  /** Writes these texts there, by path in the container, and has them taken up. */
  save(texts: Readonly<Record<string, string>>): Promise<TakeUpResult>
  remove(...paths: readonly string[]): Promise<TakeUpResult>
  read(path: string): Promise<string>
  inside(...argv: readonly string[]): Promise<string>
  /** The text of a page on the published port. */
  ask(port: number, path: string): Promise<string>
}

export interface LiveProject {
  /** `mounted`: folders in the container that are said to be the user's own. */
  attach(preset: string, service: string, mounted?: readonly string[]): Promise<Attached>
  dispose(): Promise<void>
}

/** Builds and starts `services` of the shop without their stores. */
export async function startLive(services: readonly string[]): Promise<LiveProject> {
  const project = await makeComposeProject({ 'compose.yaml': COMPOSE })
  const scratch = await mkdtemp(join(tmpdir(), 'dspre-'))
  const drive = await startDrive(project.engine)
  const life = new AbortController()
  const reloaders: Reloader[] = []
  await drive.up(services)
  return {
    async attach(preset, name, mounted = []) {
      const { engine } = project
      const { instances } = await engine.observe(life.signal)
      const instance = instances.find(({ service }) => service === name) ?? missing(name)
      const found = drive.project().services[name] ?? missing(name)
      const binds = [...found.binds, ...mounted.map((target) => ({ source: scratch, target }))]
      const service = { ...found, binds }
      const live = livePreset(preset, { folder: support }) ?? missing(preset)
      if (preset !== 'flask') await engine.deliver(instance, await live.support(service), life.signal)
      const changes: TakeUpResult[] = []
      const context = {
        engine,
        service,
        instance,
        changed: (result: TakeUpResult) => void changes.push(result),
      }
      const reloader = await live.attach(context, life.signal)
      reloaders.push(reloader)
      const docker = async (...args: readonly string[]): Promise<string> =>
        (await run('docker', [...args], { env: { ...process.env, DOCKER_HOST: ENDPOINT } })).stdout
      const deliver = async (
        changed: readonly FileChange[],
        files: DeliveredFiles,
      ): Promise<TakeUpResult> => {
        await engine.deliver(instance, changed, life.signal)
        return reloader.takeUp(files, life.signal)
      }
      return {
        reloader,
        changes,
        async save(texts) {
          const changed = await Promise.all(
            Object.entries(texts).map(async ([target, text], index) => {
              const source = join(scratch, String(index))
              await writeFile(source, text)
              return { type: 'write', source, target, mode: 0o644 } as const
            }),
          )
          return deliver(changed, { written: Object.keys(texts), deleted: [] })
        },
        remove: (...paths) =>
          deliver(
            paths.map((target) => ({ type: 'delete', target })),
            { written: [], deleted: paths },
          ),
        read: (path) => docker('exec', instance.id, 'cat', path),
        inside: (...argv) => docker('exec', instance.id, ...argv),
        async ask(port, path) {
          const address = (await docker('port', instance.id, String(port))).trim()
          return (await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(10_000) })).text()
        },
      }
    },
    async dispose() {
      for (const reloader of reloaders) reloader.close()
      life.abort()
      await drive.end()
      await project.dispose()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}

function missing(name: string): never {
  throw new Error(`there is no ${name}`)
}
