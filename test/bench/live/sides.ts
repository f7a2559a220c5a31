import { spawn } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { docker, makePlace, type Place } from '../../e2e/support.ts'
import { followEvents, type Events } from '../../live/events.ts'

/** A container whose sources are edited, and the folder where. */
export interface Side {
  readonly container: string
  readonly folder: string
}

/** devstack and its two peers over copies of one folder and one image. */
export interface Sides extends AsyncDisposable {
  readonly place: Place
  readonly events: Events
  readonly each: Readonly<Record<'devstack' | 'bind mount' | 'compose watch', Side>>
}

const TARGET = '/app/src'

const PYTHON_SERVICE = `services:
  app:
    build: .
    init: true
    command: [sleep, infinity]
    stop_grace_period: 1s
    develop: { watch: [{ action: sync, path: src, target: ${TARGET} }] }
`

/** A service that does nothing and has a Python, for the observer. */
export const PYTHON_FILES: Readonly<Record<string, string>> = {
  'compose.yaml': PYTHON_SERVICE,
  Dockerfile: `FROM python:3.13-slim\nCOPY src ${TARGET}\n`,
}

/** Opens the three over `files`, the content of the watched folder. */
export async function openSides(files: Readonly<Record<string, string>>): Promise<Sides> {
  const place = await makePlace({ ...PYTHON_FILES, ...under('src', files) })
  const events = await followEvents(place)
  const image = `${place.name}-app`
  const bound = join(place.folder, '../bound')
  await cp(join(place.folder, 'src'), bound, { recursive: true })
  const mount = `type=bind,source=${bound},target=${TARGET}`
  const bind = await runBeside(`${place.name}-bound`, image, ['--mount', mount], ['sleep', 'infinity'])
  const watched = await openWatch(place, image, {
    watch: [{ action: 'sync', path: 'src', target: TARGET }],
    copies: { src: 'src' },
    service: { command: ['sleep', 'infinity'] },
  })
  return {
    place,
    events,
    each: {
      devstack: { container: await idOf(place, 'app'), folder: join(place.folder, 'src') },
      'bind mount': { container: bind.id, folder: bound },
      'compose watch': { container: watched.container, folder: join(watched.folder, 'src') },
    },
    async [Symbol.asyncDispose]() {
      await watched[Symbol.asyncDispose]()
      await bind[Symbol.asyncDispose]()
      await events[Symbol.asyncDispose]()
      await place[Symbol.asyncDispose]()
    },
  }
}

export async function idOf(place: Place, service: string): Promise<string> {
  const found = (await place.containers()).find((container) => container.service === service)
  if (found === undefined) throw new Error(`no container of ${service}`)
  return found.id
}

/** A container of a project's image that is none of the project's: the labels that it inherits are taken off. */
export async function runBeside(
  name: string,
  image: string,
  options: readonly string[],
  command: readonly string[],
): Promise<{ readonly id: string } & AsyncDisposable> {
  const labels = ['project', 'service'].flatMap((label) => ['--label', `com.docker.compose.${label}=`])
  const id = await docker(
    'run',
    '--detach',
    '--init',
    '--name',
    name,
    ...labels,
    ...options,
    image,
    ...command,
  )
  return {
    id: id.trim(),
    async [Symbol.asyncDispose]() {
      await docker('rm', '--force', id.trim())
    },
  }
}

export interface WatchOptions {
  readonly watch: readonly object[]
  /** Paths of the place -> their names in the project of the peer. */
  readonly copies: Readonly<Record<string, string>>
  /** More of the service, in Compose's words. */
  readonly service: Readonly<Record<string, unknown>>
}

/** A project of its own that `docker compose watch` keeps up to date: one service `app` of an image that is there. */
export async function openWatch(
  place: Place,
  image: string,
  options: WatchOptions,
): Promise<{ readonly container: string; readonly folder: string } & AsyncDisposable> {
  const name = `${place.name}-watch`
  const folder = join(place.folder, '..', name)
  await mkdir(folder)
  for (const [from, to] of Object.entries(options.copies))
    await cp(join(place.folder, from), join(folder, to), { recursive: true })
  // JSON is YAML. Compose watches only what has a build.
  const app = {
    build: { context: '.', dockerfile_inline: `FROM ${image}\n` },
    init: true,
    stop_grace_period: '1s',
    develop: { watch: options.watch },
    ...options.service,
  }
  await writeFile(join(folder, 'compose.yaml'), JSON.stringify({ services: { app } }))
  const compose = ['compose', '--project-name', name, '--file', join(folder, 'compose.yaml')]
  await docker(...compose, 'up', '--detach', '--quiet-pull')
  const watch = spawn('docker', [...compose, 'watch', '--no-up'], { stdio: ['ignore', 'pipe', 'pipe'] })
  await new Promise<void>((resolve, reject) => {
    let said = ''
    const listen = (chunk: Buffer): void => {
      said += chunk.toString()
      if (/watch/i.test(said)) resolve()
    }
    watch.stdout.on('data', listen)
    watch.stderr.on('data', listen)
    watch.once('exit', () => reject(new Error(`docker compose watch ended:\n${said}`)))
  })
  return {
    folder,
    container: (await docker(...compose, 'ps', '--quiet', 'app')).trim(),
    async [Symbol.asyncDispose]() {
      watch.removeAllListeners('exit')
      watch.kill('SIGTERM')
      await docker(...compose, 'down', '--volumes', '--rmi', 'local')
    },
  }
}

function under(folder: string, files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([path, text]) => [`${folder}/${path}`, text]))
}
