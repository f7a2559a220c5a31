import type { Problem, SourcePosition } from '../../../core/error.js'
import { readYaml } from '../../../core/yaml.js'
import type { Path, YamlSource } from '../../../core/yaml.js'

/** One document of a YAML file. */
export interface SourceDocument {
  readonly file: string
  readonly value: unknown
  /** Where the deepest written part of the path is. */
  locate(path: Path): SourcePosition
  /** How many parts of the path are written here. */
  depthOf(path: Path): number
}

export interface ReadDocuments {
  readonly documents: readonly SourceDocument[]
  readonly problems: readonly Problem[]
}

/** The documents of a text, each with places of its own: a manifest's path means nothing across its neighbours. */
export function readDocuments(text: string, file: string): ReadDocuments {
  const documents: SourceDocument[] = []
  const problems: Problem[] = []
  for (const { part, line } of split(text)) {
    if (!/^[^#\s%]/m.test(part.replace(MARKER, ''))) continue
    const source = readYaml(part, file)
    const move = (at: SourcePosition): SourcePosition => ({ ...at, line: at.line + line })
    problems.push(
      ...source.problems.map((problem) => ({
        ...problem,
        at: problem.at === null ? null : move(problem.at),
      })),
    )
    for (const value of source.documents) {
      if (value === null) continue
      documents.push({
        file,
        value: HAS_OCTALS.test(part) ? withOctals(value, [], source, part.split('\n')) : value,
        locate: (path) => move(source.locate(path)),
        depthOf: (path) => source.depthOf(path),
      })
    }
  }
  return { documents, problems }
}

const MARKER = /^---(?=\s|$)/

/** A line that begins with `---` is never part of a value. */
function split(text: string): readonly { readonly part: string; readonly line: number }[] {
  const parts: { lines: string[]; line: number }[] = [{ lines: [], line: 0 }]
  for (const [line, content] of text.split('\n').entries()) {
    if (MARKER.test(content)) parts.push({ lines: [], line })
    parts.at(-1)?.lines.push(content)
  }
  return parts.map(({ lines, line }) => ({ part: lines.join('\n'), line }))
}

const HAS_OCTALS = /[\s:,[{-]0[0-7]+\s*(?:[,}\]#]|$)/m

/** `defaultMode: 0644` is octal for Kubernetes, which reads YAML 1.1; for YAML 1.2 it is 644. */
function withOctals(value: unknown, path: Path, source: YamlSource, lines: readonly string[]): unknown {
  if (typeof value === 'number') {
    const { line, column } = source.locate(path, 'value')
    const [word] = /^[-+]?0[0-7]+\b/.exec(lines[line - 1]?.slice(column - 1) ?? '') ?? []
    return word === undefined ? value : Number.parseInt(word, 8)
  }
  if (Array.isArray(value)) return value.map((one, index) => withOctals(one, [...path, index], source, lines))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, withOctals(one, [...path, key], source, lines)]),
  )
}
