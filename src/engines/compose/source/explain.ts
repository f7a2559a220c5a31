import type { ServiceExtension } from '../../../core/compose.js'
import type { SourcePosition } from '../../../core/error.js'
import { byPlace, YAML_CAPS } from '../../../core/yaml.js'
import type { Path } from '../../../core/yaml.js'
import { checkFiles, namedFiles } from './files.js'
import { checkFormats } from './formats.js'
import { loadSources } from './load.js'
import { fromComposeMessage } from './message.js'
import { checkPublished } from './published.js'
import { checkDefinitions, checkReferences } from './references.js'
import { schemaChecker } from './schema.js'
import { servicesOf } from './services.js'
import { isMap } from './types.js'
import type {
  ComposeSources,
  Explanation,
  ExplainRequest,
  LoadedSources,
  SourceProblem,
  SourceRequest,
} from './types.js'

/**
 * Finds every problem of the Compose files, each at its place: syntax, schema, references, circles, variables, files, texts
 * of a form. `docker compose config` stops at the first, and does not say where.
 */
export async function explainComposeErrors(request: ExplainRequest): Promise<Explanation> {
  const loaded = await loadSources(request)
  const locate = locator(loaded)
  const schema = loaded.documents.length === 0 ? [] : await schemaProblems(loaded)
  const services = servicesOf(loaded, activeProfiles(request, loaded))
  // What a file that could not be read defines is not known: nothing is called missing then.
  const meaning = loaded.complete
    ? [...checkReferences(loaded, services), ...checkDefinitions(loaded), ...checkPublished(services)]
    : []
  const files = await checkFiles(loaded, services, request.env)
  const found = distinct([...loaded.problems, ...schema, ...meaning, ...checkFormats(services), ...files])
  const said = request.composeMessage ?? ''
  const own = found.some(({ stage }) => stage === 'config')
  const problems = own || said === '' ? found : [fromComposeMessage(said, loaded, locate), ...found]
  return { problems: problems.toSorted(byPlace), warnings: loaded.unset, locate }
}

/** Reads the files without judging them: what is not there, where keys are, and what the engine leaves out. */
export async function readComposeSources(request: SourceRequest): Promise<ComposeSources> {
  const loaded = await loadSources(request)
  const { problems, unset } = loaded
  const services = [...loaded.services.keys()]
  const inputs = [...loaded.read, ...namedFiles(servicesOf(loaded, []))]
  return { problems, unset, locate: locator(loaded), services, extensions: extensionsOf(loaded), inputs }
}

async function schemaProblems(loaded: LoadedSources): Promise<readonly SourceProblem[]> {
  const check = await schemaChecker()
  const whole = loaded.documents.flatMap((document, index) =>
    check({ document, within: [], partial: index > 0 }),
  )
  const bases = loaded.bases.flatMap(({ document, path }) => check({ document, within: path, partial: true }))
  return [...whole, ...bases]
}

function activeProfiles({ profiles }: SourceRequest, { environment }: LoadedSources): readonly string[] {
  if (profiles.length > 0) return profiles
  return (environment['COMPOSE_PROFILES'] ?? '').split(',').filter((profile) => profile !== '')
}

/** The last file that has the whole path, else the one that has most of it. */
function locator({ documents, bases, problems }: LoadedSources): (path: Path) => SourcePosition | null {
  const sources = [
    ...new Set([...bases.map(({ document }) => document), ...documents].map(({ source }) => source)),
  ]
  return (path) => {
    let best: { readonly depth: number; readonly at: SourcePosition } | null = null
    for (const source of sources) {
      const depth = source.depthOf(path)
      if (best === null || depth >= best.depth) best = { depth, at: source.locate(path) }
    }
    return best?.at ?? problems[0]?.at ?? null
  }
}

function extensionsOf({ services }: LoadedSources): Readonly<Record<string, ServiceExtension>> {
  const found = [...services].flatMap(([name, bodies]) => {
    const blocks = bodies.map(({ value }) => value['x-devstack']).filter(isMap)
    return blocks.length === 0 ? [] : [[name, Object.assign({}, ...blocks) as ServiceExtension] as const]
  })
  return Object.fromEntries(found)
}

/** A place that is merged or extended twice is one place, and its problem one problem. */
function distinct(problems: readonly SourceProblem[]): readonly SourceProblem[] {
  const seen = new Map<string, SourceProblem>()
  for (const problem of problems) {
    const { file, line, column } = problem.at ?? { file: '', line: 0, column: 0 }
    const key = `${file}:${String(line)}:${String(column)}:${problem.message}`
    if (!seen.has(key)) seen.set(key, problem)
  }
  const all = [...seen.values()]
  return all.length > YAML_CAPS.problems * 4 ? all.slice(0, YAML_CAPS.problems * 4) : all
}
