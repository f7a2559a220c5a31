/** An image of somebody else that a Dockerfile needs. */
export interface BaseReference {
  readonly ref: string
  /** 1-based. */
  readonly line: number
}

export interface DockerfileBases {
  /** Each reference once, in the order of the file; only those that the target needs. */
  readonly bases: readonly BaseReference[]
  /** The `# syntax=` line: it has BuildKit pull its frontend from a registry. */
  readonly syntax: BaseReference | null
}

export interface DockerfileOptions {
  readonly args?: Readonly<Record<string, string>> | undefined
  /** By default the last stage. */
  readonly target?: string | null | undefined
  /** Names of build contexts that the build gives: these are no images. */
  readonly contexts?: readonly string[] | undefined
}

interface Stage {
  readonly name: string | null
  readonly needs: BaseReference[]
}

interface Instruction {
  readonly text: string
  readonly line: number
}

/** Reads which images a build of this Dockerfile starts from: FROM, `COPY --from`, `RUN --mount=from=`. */
export function readDockerfileBases(text: string, options: DockerfileOptions = {}): DockerfileBases {
  const directives = readDirectives(text)
  const stages: Stage[] = []
  const args = new Map(PLATFORM_ARGS)
  for (const { text: instruction, line } of readInstructions(text, directives.escape)) {
    const [, word = '', rest = ''] = /^(\S+)\s*([^]*)$/.exec(instruction) ?? []
    const stage = stages.at(-1)
    switch (word.toUpperCase()) {
      case 'ARG':
        if (stage === undefined) readArg(rest, args, options.args ?? {})
        break
      case 'FROM':
        stages.push(readFrom(rest, line, args))
        break
      case 'COPY':
      case 'ADD':
        stage?.needs.push(...matches(/^(?:--\S+\s+)*?--from=(\S+)/g, rest, line))
        break
      case 'RUN':
        stage?.needs.push(...readMounts(rest, line))
        break
    }
  }
  const contexts = new Set((options.contexts ?? []).map((name) => name.toLowerCase()))
  const bases = neededImages(stages, options.target ?? null).filter(
    ({ ref }) => !contexts.has(ref.toLowerCase()),
  )
  return { bases, syntax: directives.syntax }
}

/** The same text without its `# syntax=` line; every other line keeps its number. */
export function withoutSyntax(text: string): string {
  const { syntax } = readDirectives(text)
  if (syntax === null) return text
  return text
    .split('\n')
    .map((line, index) => (index === syntax.line - 1 ? '#' : line))
    .join('\n')
}

/** BuildKit gives these by itself; which processor it is decides nothing here. */
const PLATFORM_ARGS: readonly (readonly [string, string])[] = (['BUILD', 'TARGET'] as const).flatMap(
  (side) => [
    [`${side}PLATFORM`, 'linux/amd64'] as const,
    [`${side}OS`, 'linux'] as const,
    [`${side}ARCH`, 'amd64'] as const,
  ],
)

interface Directives {
  readonly escape: string
  readonly syntax: BaseReference | null
}

/** Comment lines of the form `# name=value` before anything else. */
function readDirectives(text: string): Directives {
  let escape = '\\'
  let syntax: BaseReference | null = null
  for (const [index, line] of text.split('\n').entries()) {
    const [, name, value] = /^(?:\uFEFF)?#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(line) ?? []
    if (name === undefined || value === undefined) break
    if (name.toLowerCase() === 'escape') escape = value
    if (name.toLowerCase() === 'syntax') syntax = { ref: value.split(/\s/)[0] ?? value, line: index + 1 }
  }
  return { escape, syntax }
}

/** Whole instructions: continued lines joined, comments and here-documents left out. */
function readInstructions(text: string, escape: string): readonly Instruction[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const instructions: Instruction[] = []
  let joined = ''
  let start = 0
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? ''
    if (/^\s*#/.test(line) || (joined !== '' && line.trim() === '')) continue
    if (joined === '') start = index + 1
    const trimmed = line.trimEnd()
    if (trimmed.endsWith(escape)) {
      joined += `${trimmed.slice(0, -escape.length)} `
      continue
    }
    const instruction = (joined + line).trim()
    joined = ''
    if (instruction === '') continue
    instructions.push({ text: instruction, line: start })
    index = skipHereDocuments(instruction, lines, index)
  }
  if (joined.trim() !== '') instructions.push({ text: joined.trim(), line: start })
  return instructions
}

function skipHereDocuments(instruction: string, lines: readonly string[], from: number): number {
  let index = from
  if (!/^(?:RUN|COPY|ADD)\s/i.test(instruction)) return index
  for (const [, dash, name] of instruction.matchAll(/(?<!<)<<(-?)["']?([A-Za-z_][A-Za-z0-9_]*)["']?/g)) {
    index++
    while (index < lines.length) {
      const line = lines[index] ?? ''
      if ((dash === '-' ? line.replace(/^\t+/, '') : line) === name) break
      index++
    }
  }
  return index
}

function readArg(rest: string, args: Map<string, string>, given: Readonly<Record<string, string>>): void {
  for (const [, name = '', quoted, single, plain] of rest.matchAll(
    /([A-Za-z_][A-Za-z0-9_]*)(?:=(?:"([^"]*)"|'([^']*)'|(\S*)))?/g,
  )) {
    const fallback = quoted ?? plain
    const value = given[name] ?? (fallback === undefined ? single : expand(fallback, args))
    if (value !== undefined) args.set(name, value)
  }
}

function readFrom(rest: string, line: number, args: ReadonlyMap<string, string>): Stage {
  const words = rest.split(/\s+/).filter((word) => !word.startsWith('--'))
  const [image = '', as, name] = words
  const ref = expand(image.replace(/^(["'])(.*)\1$/, '$2'), args)
  return { name: as?.toLowerCase() === 'as' && name !== undefined ? name : null, needs: [{ ref, line }] }
}

function readMounts(rest: string, line: number): readonly BaseReference[] {
  const options = /^(?:--\S+\s+)*/.exec(rest)?.[0] ?? ''
  return matches(/--mount=(?:\S*?,)?from=([^,\s]+)/g, options, line)
}

function matches(pattern: RegExp, text: string, line: number): readonly BaseReference[] {
  return [...text.matchAll(pattern)].flatMap(([, ref]) => (ref === undefined ? [] : [{ ref, line }]))
}

/** `$NAME`, `${NAME}`, `${NAME:-fallback}`, `${NAME:+instead}`. */
function expand(text: string, args: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    /\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])([^}]*))?\})/g,
    (
      _,
      plain: string | undefined,
      braced: string | undefined,
      sign: string | undefined,
      word: string | undefined,
    ) => {
      const value = args.get(plain ?? braced ?? '') ?? ''
      if (sign === '-') return value === '' ? expand(word ?? '', args) : value
      if (sign === '+') return value === '' ? '' : expand(word ?? '', args)
      return value
    },
  )
}

function neededImages(stages: readonly Stage[], target: string | null): readonly BaseReference[] {
  const last = target === null ? stages.length - 1 : findStage(stages, target, stages.length)
  const seen = new Set<number>()
  const images = new Map<string, BaseReference>()
  const visit = (index: number): void => {
    const stage = stages[index]
    if (stage === undefined || seen.has(index)) return
    seen.add(index)
    for (const need of stage.needs) {
      const other = findStage(stages, need.ref, index)
      if (other >= 0) visit(other)
      else if (need.ref !== 'scratch' && need.ref !== '' && !images.has(need.ref)) images.set(need.ref, need)
    }
  }
  visit(last)
  return [...images.values()].sort((a, b) => a.line - b.line)
}

/** A stage before `before` by its name or number. */
function findStage(stages: readonly Stage[], name: string, before: number): number {
  const number = /^\d+$/.test(name) ? Number(name) : -1
  if (number >= 0 && number < before) return number
  return stages.findLastIndex(
    (stage, index) => index < before && stage.name?.toLowerCase() === name.toLowerCase(),
  )
}
