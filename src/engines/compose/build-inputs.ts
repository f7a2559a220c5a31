import { readFile } from 'node:fs/promises'
import { isAbsolute, join, resolve } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { ImageChoice } from '../../core/images.js'
import type { Project } from '../../core/project.js'
import { readManifest } from '../images/context.js'
import { readDockerfileBases, withoutSyntax } from '../images/dockerfile.js'
import type { BaseReference } from '../images/dockerfile.js'
import { contextHash } from '../images/manifest.js'
import type { Manifest } from '../images/manifest.js'
import type { ImageIndex } from './image-index.js'
import { servicesOf } from './model.js'
import type { ComposeBuild, ComposeModel } from './model.js'
import { deliveredFiles } from './watched.js'

/** What one service is built from. */
export interface BuildSource {
  readonly build: ComposeBuild
  /** The Dockerfile's absolute path; null where it is inline or on another machine. */
  readonly dockerfile: string | null
  /** Its text; null where it is on another machine. */
  readonly text: string | null
  /** Images that it starts from. */
  readonly bases: readonly BaseReference[]
  /** The `# syntax=` line. */
  readonly syntax: BaseReference | null
  /** Null where the context is on another machine. */
  readonly manifest: Manifest | null
  hash(choices: readonly ImageChoice[], present: ImageIndex): string
}

/**
 * Reads the Dockerfile and the build context of a service.
 * @throws DevstackError CONFIG_INVALID where they are not there
 */
export async function readBuild(
  model: ComposeModel,
  project: Project,
  name: string,
  signal: AbortSignal,
): Promise<BuildSource> {
  const build = servicesOf(model)[name]?.build
  if (build == null) throw new Error(`${name} is not built`)
  const local = isAbsolute(build.context)
  const inline = build.dockerfile_inline
  const dockerfile =
    local && inline === undefined ? resolve(build.context, build.dockerfile ?? 'Dockerfile') : null
  const text = inline ?? (dockerfile === null ? null : await readDockerfile(name, dockerfile, signal))
  const args = definedArgs(build)
  const contexts = Object.keys(build.additional_contexts ?? {})
  const { bases, syntax } =
    text === null
      ? { bases: [], syntax: null }
      : readDockerfileBases(text, { args, target: build.target ?? null, contexts })
  const manifest = local ? await readContext(name, build.context, dockerfile, signal) : null
  const delivered = deliveredFiles(project.services[name] ?? { watch: [], binds: [] }, build.context)
  return {
    build,
    dockerfile,
    text,
    bases,
    syntax,
    manifest,
    hash: (choices, present) =>
      contextHash({
        manifest: manifest ?? {},
        except: delivered,
        dockerfile: text === null ? JSON.stringify(build) : withoutSyntax(text),
        target: build.target ?? null,
        args,
        bases: Object.fromEntries(
          bases.map(({ ref }) => {
            const used = choices.find(({ wanted }) => wanted === ref)?.ref ?? ref
            return [ref, present.find(used)?.id ?? used]
          }),
        ),
      }),
  }
}

async function readDockerfile(name: string, path: string, signal: AbortSignal): Promise<string> {
  try {
    return await readFile(path, { encoding: 'utf8', signal })
  } catch (error) {
    signal.throwIfAborted()
    throw new DevstackError('CONFIG_INVALID', `${name} has no Dockerfile`, {
      cause: `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
      hint: `write it, or name another one: services.${name}.build.dockerfile`,
    })
  }
}

async function readContext(
  name: string,
  folder: string,
  dockerfile: string | null,
  signal: AbortSignal,
): Promise<Manifest> {
  try {
    return await readManifest({ folder, dockerfile, signal })
  } catch (error) {
    signal.throwIfAborted()
    const { code, path } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    throw new DevstackError('CONFIG_INVALID', `the build context of ${name} cannot be read`, {
      cause: `${path ?? folder}: ${code}`,
      hint: `mend services.${name}.build.context, or leave the path out in ${join(folder, '.dockerignore')}`,
    })
  }
}

function definedArgs(build: ComposeBuild): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(build.args ?? {}).filter((entry): entry is [string, string] => entry[1] !== null),
  )
}
