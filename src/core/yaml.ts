import { Composer, Lexer, LineCounter, Parser } from 'yaml'
import type { CST } from 'yaml'
import type { Problem, SourcePosition } from './error.js'
import { YamlReader } from './yaml-reader.js'
import type { Place, Places } from './yaml-reader.js'

/** Keys and indices that lead to a value. */
export type Path = readonly (string | number)[]

/** Beyond these a file is refused: a bomb, or nothing that people write. */
export const YAML_CAPS = {
  bytes: 1_048_576,
  tokens: 100_000,
  depth: 100,
  nodes: 100_000,
  problems: 50,
} as const

/** What a YAML text says, and where it says it. */
export interface YamlSource {
  readonly file: string
  /** The plain value of each `---` document; empty where the text has a problem. */
  readonly documents: readonly unknown[]
  readonly problems: readonly Problem[]
  /** Where the deepest written part of `path` is: its key, or with `value` what follows it. */
  locate(path: Path, part?: 'key' | 'value'): SourcePosition
  /** How many parts of `path` are written here. */
  depthOf(path: Path): number
  /** Where `text`, a piece of the scalar at `path`, is: the `occurrence`th, from 0. */
  locateText(path: Path, text: string, occurrence: number): SourcePosition
  /** The tag of the value at `path`: `!reset`, `!override`. */
  tagOf(path: Path): string | null
}

/** Reads YAML with the place of everything in it: every syntax error at once, and never a hang. */
export function readYaml(text: string, file: string): YamlSource {
  const lines = new LineCounter()
  const position = (offset: number): SourcePosition => {
    const { line, col } = lines.linePos(Math.min(offset, text.length))
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const size = utf8Length(text)
  if (size > YAML_CAPS.bytes) {
    const message = `the file has ${String(size)} bytes; more than ${String(YAML_CAPS.bytes)} are not read`
    return new Source(file, text, position, [{ message, at: { file, line: 1, column: 1 }, hint: null }])
  }
  const control = CONTROL.exec(text)
  if (control !== null) {
    lines.lineStarts.push(...lineStartsOf(text))
    const code = (control[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
    const message = `the control character U+${code} is not allowed`
    return new Source(file, text, position, [{ message, at: position(control.index), hint: null }])
  }
  const tokens = parse(text, lines)
  if ('refused' in tokens) {
    return new Source(file, text, position, [
      { message: tokens.refused, at: position(tokens.offset), hint: null },
    ])
  }
  const documents = [...new Composer({ prettyErrors: false, uniqueKeys: false }).compose(tokens)]
  const syntax = documents.flatMap(({ errors }) =>
    errors
      .filter(({ message }) => !TOLERATED.test(message))
      .map(({ message, pos }) => ({ message: sentence(message), at: position(pos[0]), hint: null })),
  )
  if (syntax.length > 0) return new Source(file, text, position, capped(syntax))
  const reader = new YamlReader(position, YAML_CAPS.nodes)
  const roots = documents.map(({ contents }) => ({
    value: reader.read(contents),
    start: contents?.range?.[0] ?? 0,
  }))
  if (reader.problems.length > 0) return new Source(file, text, position, capped(reader.problems))
  return new Source(file, text, position, [], roots, reader.places)
}

// eslint-disable-next-line no-control-regex
const CONTROL = /[\0-\x08\x0B\x0C\x0E-\x1F\x7F-\x84\x86-\x9F\uFFFE\uFFFF]/

/** `[a]#b` is a mistake by the book, but Compose reads it. */
const TOLERATED = /^Comments must be separated/

function lineStartsOf(text: string): readonly number[] {
  return [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)]
}

interface Refusal {
  readonly refused: string
  readonly offset: number
}

/** The tokens of the text. What follows them is recursive, and slower, so the caps stand here. */
function parse(text: string, lines: LineCounter): readonly CST.Token[] | Refusal {
  const parser = new Parser(lines.addNewLine)
  const tokens: CST.Token[] = []
  let count = 0
  lines.addNewLine(0)
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme))
    count += 1
    if (parser.stack.length > YAML_CAPS.depth + 1) {
      return { refused: `nested more than ${String(YAML_CAPS.depth)} levels deep`, offset: parser.offset }
    }
    if (count > YAML_CAPS.tokens) {
      return {
        refused: `more than ${String(YAML_CAPS.tokens)} YAML tokens are not read`,
        offset: parser.offset,
      }
    }
  }
  tokens.push(...parser.end())
  return tokens
}

interface Root {
  readonly value: unknown
  readonly start: number
}

class Source implements YamlSource {
  readonly documents: readonly unknown[]

  constructor(
    readonly file: string,
    private readonly text: string,
    private readonly position: (offset: number) => SourcePosition,
    readonly problems: readonly Problem[],
    private readonly roots: readonly Root[] = [],
    private readonly places: Places = new WeakMap(),
  ) {
    this.documents = roots.map(({ value }) => value)
  }

  locate(path: Path, part: 'key' | 'value' = 'key'): SourcePosition {
    const { place, root } = this.find(path)
    if (place === null) return this.position(root)
    return this.position(part === 'key' ? place.key : place.start)
  }

  depthOf(path: Path): number {
    return this.find(path).depth
  }

  locateText(path: Path, text: string, occurrence: number): SourcePosition {
    const { place, root, depth } = this.find(path)
    if (place === null || depth < path.length) return this.position(place?.key ?? root)
    const raw = this.text.slice(place.start, place.end)
    let offset = -1
    for (let count = 0; count <= occurrence; count++) offset = raw.indexOf(text, offset + 1)
    return this.position(place.start + Math.max(offset, 0))
  }

  tagOf(path: Path): string | null {
    const { place, depth } = this.find(path)
    return depth === path.length ? (place?.tag ?? null) : null
  }

  /** The deepest written part of the path, in the last document that has it. */
  private find(path: Path): { readonly place: Place | null; readonly root: number; readonly depth: number } {
    let best = { place: null as Place | null, root: this.roots[0]?.start ?? 0, depth: 0 }
    for (const { value, start } of this.roots) {
      let here: unknown = value
      let place: Place | null = null
      let depth = 0
      for (const key of path) {
        const next: Place | undefined =
          typeof here === 'object' && here !== null ? this.places.get(here)?.get(key) : undefined
        if (next === undefined) break
        place = next
        here = next.value
        depth += 1
      }
      if (depth >= best.depth) best = { place, root: depth === 0 ? best.root : start, depth }
    }
    return best
  }
}

function capped(problems: readonly Problem[]): readonly Problem[] {
  if (problems.length <= YAML_CAPS.problems) return problems
  const more = problems.length - YAML_CAPS.problems
  const last = problems[YAML_CAPS.problems]
  const rest = { message: `and ${String(more)} more problems`, at: last?.at ?? null, hint: null }
  return [...problems.slice(0, YAML_CAPS.problems), rest]
}

function sentence(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1)
}

function utf8Length(text: string): number {
  let bytes = text.length
  for (let index = 0; index < text.length && bytes <= YAML_CAPS.bytes; index++) {
    const code = text.charCodeAt(index)
    const surrogate = code >= 0xd8_00 && code <= 0xdf_ff
    if (code >= 0x80) bytes += code < 0x8_00 || surrogate ? 1 : 2
  }
  return bytes
}

/** Orders problems as a reader meets them: by file, line and column; those without a place come last. */
export function byPlace(one: Problem, other: Problem): number {
  if (one.at === null || other.at === null) return Number(one.at === null) - Number(other.at === null)
  const file = one.at.file < other.at.file ? -1 : Number(one.at.file > other.at.file)
  return file || one.at.line - other.at.line || one.at.column - other.at.column
}

/** `services.api.ports[0]`. */
export function pathText(path: Path): string {
  return path
    .map((key, index) => (typeof key === 'number' ? `[${String(key)}]` : `${index === 0 ? '' : '.'}${key}`))
    .join('')
}
