import { realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { DevstackConfig } from '../../core/config.js'
import type { SourcePosition } from '../../core/error.js'
import { DevstackError } from '../../core/error.js'
import type { Path, YamlSource } from '../../core/yaml.js'
import { loadConfig } from './config.js'
import type { ConfigCache } from './config.js'
import { readEnvFile } from './dotenv.js'
import { folderFiles } from './files.js'
import type { FolderFiles } from './files.js'

type Environment = Readonly<Record<string, string | undefined>>

export interface FindRequest {
  /** Absolute. */
  readonly cwd: string
  /** `--config FILE`, relative to `cwd`; null: look for one. */
  readonly config: string | null
  readonly env: Environment
  readonly cache?: ConfigCache | null
}

/** What was found, and what Compose would take from its surroundings. */
export interface FoundProject {
  /** Absolute real path: that of devstack.yaml, or of the (first) Compose file. */
  readonly folder: string
  /** devstack.yaml, or null where there is none. */
  readonly configFile: string | null
  readonly config: DevstackConfig | null
  /** Where a key of devstack.yaml is written. */
  readonly locateConfig: ((path: Path) => SourcePosition) | null
  /** Absolute, in the order of merging. */
  readonly composeFiles: readonly string[]
  /** The folder against which Compose resolves paths: that of the first Compose file. */
  readonly projectDirectory: string
  /** The `.env` files that Compose reads, those that are there. */
  readonly envFiles: readonly string[]
  /** `env` over the values of the `.env` files: what `${NAME}` means in the Compose files. */
  readonly environment: Environment
}

/**
 * Finds the project upwards from a folder, as git does: the nearest devstack.yaml or Compose file. A Compose file that a
 * devstack.yaml further up names as its own leads to that devstack.yaml.
 * @throws DevstackError PROJECT_NOT_FOUND; CONFIG_INVALID with every problem of devstack.yaml
 */
export async function findProject(request: FindRequest): Promise<FoundProject> {
  const cwd = await realpath(request.cwd)
  const { env } = request
  const fromEnv = composeFileList(env['COMPOSE_FILE'] ?? '', cwd, env)
  if (request.config !== null) {
    return configured(await existing(resolve(cwd, request.config), '--config'), fromEnv, request)
  }
  let nearest: readonly string[] = []
  for (const folder of upwards(cwd)) {
    const files = await folderFiles(folder)
    if (files.config !== null) {
      const found = await configured(files.config, fromEnv, request)
      if (nearest.every((file) => found.composeFiles.includes(file))) return found
      break
    }
    if (nearest.length === 0) nearest = await composeFiles(folder, files, env)
  }
  const found = fromEnv.length > 0 ? fromEnv : nearest
  if (found.length === 0) throw notFound(cwd)
  return described({ folder: null, configFile: null, config: null, source: null }, found, env)
}

async function configured(
  file: string,
  fromEnv: readonly string[],
  { env, cache }: FindRequest,
): Promise<FoundProject> {
  const configFile = await realpath(file)
  const folder = dirname(configFile)
  const { config, source } = await loadConfig(configFile, cache ?? null)
  const listed = [config.compose ?? []].flat().map((name) => resolve(folder, name))
  await checkListed(listed, source, configFile)
  const usual = async () => composeFiles(folder, await folderFiles(folder), env)
  const found = listed.length > 0 ? listed : fromEnv.length > 0 ? fromEnv : await usual()
  return described({ folder, configFile, config, source }, found, env)
}

interface Config {
  readonly folder: string | null
  readonly configFile: string | null
  readonly config: DevstackConfig | null
  readonly source: YamlSource | null
}

async function described(about: Config, files: readonly string[], env: Environment): Promise<FoundProject> {
  const { configFile, config, source } = about
  const composeFiles = await Promise.all(files.map((file) => existing(file, 'COMPOSE_FILE')))
  const [first] = composeFiles
  const projectDirectory = first === undefined ? (about.folder ?? '/') : dirname(first)
  const read = await environmentOf(projectDirectory, env)
  return {
    folder: about.folder ?? projectDirectory,
    configFile,
    config,
    locateConfig: source === null ? null : (path) => source.locate(path),
    composeFiles,
    projectDirectory,
    ...read,
  }
}

/** Files that devstack.yaml names and that are not there are its problem, at their place. */
async function checkListed(
  files: readonly string[],
  known: YamlSource | null,
  configFile: string,
): Promise<void> {
  const there = await Promise.all(files.map(isFile))
  if (there.every(Boolean)) return
  const source = known ?? (await loadConfig(configFile)).source
  if (source === null) return
  const problems = files.flatMap((file, index) =>
    there[index] === true
      ? []
      : [{ message: `${file} does not exist`, at: source.locate(['compose', index], 'value'), hint: null }],
  )
  throw new DevstackError('CONFIG_INVALID', `${source.file} names Compose files that are not there`, {
    problems,
  })
}

/** What Compose would take in this folder: COMPOSE_FILE of its `.env`, else the usual names. */
async function composeFiles(
  folder: string,
  files: FolderFiles,
  env: Environment,
): Promise<readonly string[]> {
  if (!files.hasEnvFile) return files.compose
  const values = await readEnvFile(join(folder, '.env'), env)
  const named = values?.['COMPOSE_FILE'] ?? ''
  return named === '' ? files.compose : composeFileList(named, folder, { ...values, ...env })
}

function composeFileList(list: string, folder: string, env: Environment): readonly string[] {
  const names = list.split(env['COMPOSE_PATH_SEPARATOR'] ?? ':').filter((name) => name !== '')
  return names.map((name) => resolve(folder, name))
}

async function environmentOf(folder: string, env: Environment) {
  const listed = (env['COMPOSE_ENV_FILES'] ?? '').split(',').filter((name) => name !== '')
  const files = (listed.length === 0 ? ['.env'] : listed).map((name) => resolve(folder, name))
  let environment: Environment = env
  const envFiles: string[] = []
  for (const file of files) {
    const values = await readEnvFile(file, env)
    if (values === null) continue
    envFiles.push(file)
    environment = { ...environment, ...values, ...env }
  }
  return { envFiles, environment }
}

function* upwards(folder: string): Generator<string> {
  let here = folder
  for (;;) {
    yield here
    const parent = dirname(here)
    if (parent === here) return
    here = parent
  }
}

async function existing(file: string, from: string): Promise<string> {
  if (await isFile(file)) return realFile(file)
  throw new DevstackError('PROJECT_NOT_FOUND', `${file} does not exist`, {
    cause: `${from} names it`,
    hint: 'check the path',
  })
}

/** The folder's real path, but the file's own name: Compose, too, resolves against the link's folder. */
async function realFile(file: string): Promise<string> {
  return join(await realpath(dirname(file)), file.slice(dirname(file).length).replace(/^\/+/, ''))
}

async function isFile(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => null)
  return found?.isFile() === true
}

function notFound(cwd: string): DevstackError {
  return new DevstackError('PROJECT_NOT_FOUND', `no project in ${cwd} or above it`, {
    cause: 'neither a devstack.yaml nor a Compose file (compose.yaml, docker-compose.yml) was found',
    hint: 'go to the folder of your project, name it with --cwd DIR, or write a devstack.yaml with: devstack init',
  })
}
