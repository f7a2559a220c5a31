import { isUtf8 } from 'node:buffer'
import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { readDotEnv } from '../../../core/dotenv.js'
import type { Problem, SourcePosition } from '../../../core/error.js'
import { lookupIn } from '../../../core/interpolation.js'
import { didYouMean } from '../../../core/suggest.js'
import { readYaml, YAML_CAPS } from '../../../core/yaml.js'
import type { Path } from '../../../core/yaml.js'
import { includeOf, extendsOf } from './links.js'
import { isMap, KINDS, placeOf } from './types.js'
import type {
  Body,
  ComposeDocument,
  Environment,
  Kind,
  LoadedSources,
  SourceProblem,
  SourceRequest,
} from './types.js'
import { replaceVariables } from './variables.js'
import type { Unset } from './variables.js'

/** More files, or a longer chain of includes, than anybody writes. */
const CAPS = { files: 100, chain: 20 } as const

/** Some files that are merged into one project: those of the command line, or of one include. */
interface Layer {
  readonly files: readonly string[]
  readonly folder: string
  readonly env: Environment
  /** Where the files are named; null for those of the command line. */
  readonly from: SourcePosition | null
  /** The files that lead here. */
  readonly chain: readonly string[]
}

/** Reads the files, what they include and what they extend. Never throws for what is written in them. */
export async function loadSources(request: SourceRequest): Promise<LoadedSources> {
  const loader = new Loader()
  const [first] = request.files
  const folder = request.projectDirectory ?? (first === undefined ? '/' : dirname(first))
  const env = await loader.environment(request.envFiles, request.env, null)
  await loader.layer({ files: request.files, folder, env, from: null, chain: [] })
  return loader.result()
}

class Loader {
  private readonly documents: ComposeDocument[] = []
  private readonly bases: Body[] = []
  private readonly services = new Map<string, Body[]>()
  private readonly definitions: Record<Kind, Map<string, Body[]>> = {
    networks: new Map(),
    volumes: new Map(),
    secrets: new Map(),
    configs: new Map(),
  }
  private readonly problems: SourceProblem[] = []
  private readonly unset: Unset[] = []
  private readonly extended = new Map<string, Promise<readonly ComposeDocument[]>>()
  private complete = true
  private outer: Environment = {}
  private files = 0
  private readonly paths = new Set<string>()

  result(): LoadedSources {
    const { documents, bases, services, definitions, problems, complete, outer: environment } = this
    const unset = [
      ...new Map(this.unset.toReversed().map((one) => [one.name, one.problem])).values(),
    ].toReversed()
    return {
      documents,
      bases,
      services,
      definitions,
      problems,
      unset,
      complete,
      environment,
      read: [...this.paths],
    }
  }

  /** The values of the `.env` files under the environment. */
  async environment(
    files: readonly string[],
    env: Environment,
    from: SourcePosition | null,
  ): Promise<Environment> {
    let values: Environment = env
    for (const file of files) {
      if (await isPipe(file)) continue
      const text = await this.read(file, from)
      if (text === null) continue
      const outer = values
      const read = readDotEnv(text, file, lookupIn(outer))
      this.problems.push(...read.problems.map((problem): SourceProblem => ({ ...problem, stage: 'config' })))
      values = { ...read.values, ...outer }
    }
    return values
  }

  async layer(layer: Layer): Promise<void> {
    if (layer.from === null) this.outer = layer.env
    for (const file of layer.files) {
      const own = await this.file(file, layer.folder, layer.env, layer.from)
      for (const document of own) {
        this.documents.push(document)
        await this.includes(document, file, layer)
        await this.collect(document, layer)
      }
    }
  }

  private async includes(document: ComposeDocument, file: string, layer: Layer): Promise<void> {
    for (const include of includeOf(document, layer.folder)) {
      const { at } = include
      const looping = include.files.find((one) => one === file || layer.chain.includes(one))
      if (looping !== undefined) {
        const loop = [...layer.chain, file, looping].join(' -> ')
        this.fail(`an include leads back to itself: ${loop}`, at)
        continue
      }
      if (layer.chain.length >= CAPS.chain) {
        this.fail(`includes are nested more than ${String(CAPS.chain)} deep`, at)
        continue
      }
      const usual = resolve(include.folder, '.env')
      this.paths.add(usual)
      const envFiles = include.envFiles ?? ((await isThere(usual)) ? [usual] : [])
      const env = await this.environment(envFiles, layer.env, at)
      const { files, folder } = include
      await this.layer({ files, folder, env, from: at, chain: [...layer.chain, file] })
    }
  }

  private async collect(document: ComposeDocument, layer: Layer): Promise<void> {
    if (!isMap(document.value)) return
    for (const [name, value] of entries(document.value['services'])) {
      const path = ['services', name]
      const body = bodyOf(value, path, document)
      const bodies = await this.inherited(body, document, layer.env, [])
      this.services.set(name, [...(this.services.get(name) ?? []), ...bodies, body])
    }
    for (const kind of KINDS) {
      for (const [name, value] of entries(document.value[kind])) {
        const known = this.definitions[kind]
        const body = bodyOf(value, [kind, name], document)
        known.set(name, [...(known.get(name) ?? []), body])
      }
    }
  }

  /** What a service takes over by `extends`, the furthest base first. */
  private async inherited(
    body: Body,
    document: ComposeDocument,
    env: Environment,
    chain: readonly string[],
  ): Promise<readonly Body[]> {
    const wanted = extendsOf(body)
    if (wanted === null) return []
    const at = placeOf(body, ['extends'], 'key')
    const id = (one: Body) => `${String(one.path[1])} in ${one.document.source.file}`
    if (chain.includes(id(body))) {
      const loop = [...chain.slice(chain.indexOf(id(body))), id(body)].join(' -> ')
      this.fail(`an extends leads back to itself: ${loop}`, at)
      return []
    }
    if (chain.length >= CAPS.chain) {
      this.fail(`extends are nested more than ${String(CAPS.chain)} deep`, at)
      return []
    }
    const documents =
      wanted.file === null ? [document] : await this.extendedFile(wanted.file, env, wanted.fileAt)
    const base = documents.flatMap((one) => serviceOf(one, wanted.service)).at(-1)
    if (base === undefined) {
      const known = documents.flatMap((one) => (isMap(one.value) ? entries(one.value['services']) : []))
      const there = wanted.file === null && this.services.has(wanted.service)
      if (documents.length > 0 && !there) {
        const hint = didYouMean(
          wanted.service,
          known.map(([name]) => name),
        )
        this.fail(
          `${String(body.path[1])} extends "${wanted.service}", which is not in ${wanted.file ?? 'its file'}`,
          wanted.at,
          hint,
        )
      }
      return []
    }
    if (wanted.file !== null) this.bases.push(base)
    const further = await this.inherited(base, base.document, env, [...chain, id(body)])
    return [...further, base]
  }

  /** A base's file is read once, however many services extend it. */
  private async extendedFile(
    file: string,
    env: Environment,
    at: SourcePosition,
  ): Promise<readonly ComposeDocument[]> {
    const known = this.extended.get(file)
    const reading = known ?? this.file(file, dirname(file), env, at)
    this.extended.set(file, reading)
    return reading
  }

  private async file(
    file: string,
    folder: string,
    env: Environment,
    from: SourcePosition | null,
  ): Promise<readonly ComposeDocument[]> {
    this.files += 1
    if (this.files > CAPS.files) {
      if (this.files === CAPS.files + 1) this.fail(`more than ${String(CAPS.files)} files are not read`, from)
      return []
    }
    const text = await this.read(file, from)
    if (text === null) return []
    const source = readYaml(text, file)
    this.add(source.problems)
    if (source.problems.length > 0) return []
    const start = { file, line: 1, column: 1 }
    if (source.documents.every((value) => value === null)) this.fail('the file is empty', start)
    return source.documents.flatMap((document): readonly ComposeDocument[] => {
      if (document === null) return []
      const { value, isReplaced, problems, unset } = replaceVariables(source, document, lookupIn(env))
      this.problems.push(...problems)
      this.unset.push(...unset)
      return [{ source, value, folder, isReplaced }]
    })
  }

  private async read(file: string, from: SourcePosition | null): Promise<string | null> {
    const at = from ?? { file, line: 1, column: 1 }
    this.paths.add(file)
    try {
      const about = await stat(file)
      // A pipe may have nobody at its other end.
      if (!about.isFile()) {
        this.fail(`${file} is not a file`, at)
        return null
      }
      const { size } = about
      if (size <= YAML_CAPS.bytes) {
        const bytes = await readFile(file)
        const text = bytes.toString('utf8')
        if (isUtf8(bytes)) return text
        const before = text.slice(0, text.indexOf('\uFFFD')).split('\n')
        const place = { file, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
        this.fail(`${file} is not UTF-8`, place, 'save it as UTF-8')
        return null
      }
      this.fail(`${file} has ${String(size)} bytes; more than ${String(YAML_CAPS.bytes)} are not read`, at)
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      const why = error instanceof Error ? error.message : String(error)
      this.fail(missing ? `${file} does not exist` : `${file} cannot be read: ${why}`, at)
    }
    return null
  }

  private fail(message: string, at: SourcePosition | null, hint: string | null = null): void {
    this.add([{ message, at, hint }])
  }

  private add(problems: readonly Problem[]): void {
    if (problems.length > 0) this.complete = false
    this.problems.push(...problems.map((problem): SourceProblem => ({ ...problem, stage: 'config' })))
  }
}

function bodyOf(value: unknown, path: Path, document: ComposeDocument): Body {
  return isMap(value)
    ? { value, written: true, path, document }
    : { value: {}, written: false, path, document }
}

function serviceOf(document: ComposeDocument, name: string): readonly Body[] {
  const services = isMap(document.value) ? document.value['services'] : null
  const value = isMap(services) ? services[name] : undefined
  const path: Path = ['services', name]
  return value === undefined ? [] : [bodyOf(value, path, document)]
}

function entries(value: unknown): readonly [string, unknown][] {
  return isMap(value) ? Object.entries(value) : []
}

/** Password managers serve `.env` as a pipe: it is left to Compose to read. */
async function isPipe(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null))?.isFIFO() === true
}

async function isThere(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null)) !== null
}
