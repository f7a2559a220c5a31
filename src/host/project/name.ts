import { basename } from 'node:path'
import { DevstackError } from '../../core/error.js'
import { interpolate, lookupIn } from '../../core/interpolation.js'
import { readSmallFile } from './files.js'
import type { FoundProject } from './find.js'

export interface WantedName {
  readonly name: string
  /** Where it comes from, for people: `name of /home/me/shop/compose.yaml`. */
  readonly from: string
}

type NamedProject = Pick<
  FoundProject,
  'config' | 'configFile' | 'composeFiles' | 'projectDirectory' | 'environment'
>

/**
 * The name that Compose would give the project, so that plain `docker compose ps` beside us sees the same one:
 * `--project-name`, COMPOSE_PROJECT_NAME, devstack.yaml's, the last Compose file's `name`, the folder's.
 * @throws DevstackError CONFIG_INVALID where what was asked for is no name that Compose accepts
 */
export async function wantedName(found: NamedProject, projectName: string | null): Promise<WantedName> {
  if (projectName !== null) return checked(projectName, '--project-name')
  const fromEnv = found.environment['COMPOSE_PROJECT_NAME'] ?? ''
  if (fromEnv !== '') return checked(fromEnv, 'COMPOSE_PROJECT_NAME')
  const { config, configFile } = found
  if (config?.name !== undefined) return checked(config.name, `name of ${configFile ?? 'devstack.yaml'}`)
  for (const file of found.composeFiles.toReversed()) {
    const name = await nameOf(file, found.environment)
    if (name !== null) return checked(name, `name of ${file}`)
  }
  const folder = normaliseName(basename(found.projectDirectory))
  // A folder named only in letters that Compose drops: it refuses such a one, we need not.
  if (folder === '')
    return { name: 'default', from: `folder ${found.projectDirectory}, which has no usable name` }
  return { name: folder, from: `folder ${found.projectDirectory}` }
}

function checked(name: string, from: string): WantedName {
  if (normaliseName(name) === name && name !== '') return { name, from }
  const hint = normaliseName(name) === '' ? null : `use "${normaliseName(name)}"`
  throw new DevstackError('CONFIG_INVALID', `"${name}" is not a project name that Compose accepts`, {
    cause: `${from}: it must begin with a lowercase letter or digit and have only a-z, 0-9, _ and -`,
    hint,
  })
}

/** As Compose makes a project name of a folder's; empty where nothing is left. */
export function normaliseName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '')
}

/** The `name` of a Compose file, or null. What is wrong with the file is told when it is resolved. */
async function nameOf(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | null> {
  const read = await readSmallFile(file)
  if ('refused' in read) return null
  const { text } = read
  // Most files have no name: a look at the text spares them the YAML parser.
  if (!/^["']?name["']?[ \t]*:/m.test(text) && !text.trimStart().startsWith('{')) return null
  const { readYaml } = await import('../../core/yaml.js')
  const named = readYaml(text, file)
    .documents.filter((document) => typeof document === 'object' && document !== null)
    .flatMap((document) => ('name' in document && typeof document.name === 'string' ? [document.name] : []))
    .at(-1)
  if (named === undefined) return null
  const name = interpolate(named, lookupIn(env)).value
  return name === '' ? null : name
}
