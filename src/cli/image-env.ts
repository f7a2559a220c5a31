import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeImageEnv } from '../engines/images/env-file.js'
import { run } from '../host/bootstrap/command.js'
import { createEngine } from './engine.js'
import { type StackRef } from './stack.js'

/**
 * Lets plain `docker compose` find the images that are built here: writes them into the `.env` beside the compose file, where
 * that reads such variables (`${POSTGRES_IMAGE:-postgres:17}`) and git ignores the `.env`. Resolves with the file's path where
 * it changed, else with null.
 */
export async function updateImageEnv(
  stack: StackRef,
  env: Readonly<Record<string, string | undefined>>,
  local: boolean,
): Promise<string | null> {
  const [first] = stack.composeFiles
  if (first === undefined) return null
  const path = join(dirname(first), '.env')
  const texts = await Promise.all(stack.composeFiles.map((file) => readFile(file, 'utf8')))
  const variables = new Set(texts.join('\n').match(/(?<=\$\{)[A-Z0-9_]+(?=_IMAGE\b)/g))
  if (variables.size === 0 || !(await isIgnored(path, env))) return null
  if (!local) return (await writeImageEnv(path, [])) ? path : null
  const engine = await createEngine({ ...stack, imageSource: 'local' }, env)
  const request = { services: [], profiles: [], freePorts: true, purpose: 'up' } as const
  const { images } = await engine.resolve(request, () => undefined, AbortSignal.timeout(60_000))
  const named = images.filter(({ recipe }) => recipe !== null && variables.has(recipe.toUpperCase()))
  return (await writeImageEnv(path, named)) ? path : null
}

async function isIgnored(path: string, env: Readonly<Record<string, string | undefined>>): Promise<boolean> {
  const { ok } = await run(['git', '-C', dirname(path), 'check-ignore', '--quiet', '--', path], { env })
  return ok
}
