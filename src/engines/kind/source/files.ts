import { isUtf8 } from 'node:buffer'
import { readFileSync, statSync, type Stats } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Problem, SourcePosition } from '../../../core/error.js'
import { YAML_CAPS } from '../../../core/yaml.js'
import { readDocuments } from './documents.js'
import type { SourceDocument } from './documents.js'

/** Beyond these nothing is read. */
export const SOURCE_CAPS = { files: 500, depth: 20 } as const

export const KUSTOMIZATION_NAMES: readonly string[] = [
  'kustomization.yaml',
  'kustomization.yml',
  'Kustomization',
]

/**
 * The files that manifests are read from, and what is wrong with them. They are small, and each names the next: read without
 * leaving the thread, they do not wait for a turn of a session that has much else to do as it begins.
 */
export class SourceFiles {
  readonly problems: Problem[] = []
  private readonly paths = new Set<string>()
  private readonly parsed = new Map<string, readonly SourceDocument[]>()

  /** Absolute paths of all that was read or is named, also of what is not there. */
  get inputs(): readonly string[] {
    return [...this.paths]
  }

  /** Something that is read by somebody else. */
  note(path: string): void {
    this.paths.add(path)
  }

  fail(message: string, at: SourcePosition | null, hint: string | null = null): void {
    this.problems.push({ message, at, hint })
  }

  /** The documents of a file, read once; none where it cannot be read, which is told at `from`. */
  documents(file: string, from: SourcePosition | null): readonly SourceDocument[] {
    const known = this.parsed.get(file)
    if (known !== undefined) return known
    const reading = this.read(file, from)
    this.parsed.set(file, reading)
    return reading
  }

  private read(file: string, from: SourcePosition | null): readonly SourceDocument[] {
    this.paths.add(file)
    if (this.parsed.size >= SOURCE_CAPS.files) {
      if (this.parsed.size === SOURCE_CAPS.files)
        this.fail(`more than ${String(SOURCE_CAPS.files)} files are not read`, from)
      return []
    }
    const at = from ?? { file, line: 1, column: 1 }
    const about = look(file)
    if (about === null) this.fail(`${file} does not exist`, at)
    // A pipe may have nobody at its other end.
    else if (!about.isFile()) this.fail(`${file} is not a file`, at)
    else if (about.size > YAML_CAPS.bytes) {
      this.fail(
        `${file} has ${String(about.size)} bytes; more than ${String(YAML_CAPS.bytes)} are not read`,
        at,
      )
    } else return this.parse(file, at)
    return []
  }

  private parse(file: string, at: SourcePosition): readonly SourceDocument[] {
    let bytes: Buffer
    try {
      bytes = readFileSync(file)
    } catch (error) {
      this.fail(`${file} cannot be read: ${String(error)}`, at)
      return []
    }
    if (!isUtf8(bytes)) {
      this.fail(`${file} is not UTF-8`, { file, line: 1, column: 1 }, 'save it as UTF-8')
      return []
    }
    const { documents, problems } = readDocuments(bytes.toString('utf8'), file)
    this.problems.push(...problems)
    return problems.length > 0 ? [] : documents
  }
}

/** The kustomization file of a folder; null where it has none. */
export function kustomizationIn(folder: string): string | null {
  for (const name of KUSTOMIZATION_NAMES) {
    const file = join(folder, name)
    if (kindOfPath(file) === 'file') return file
  }
  return null
}

export function kindOfPath(path: string): 'file' | 'folder' | null {
  const about = look(path)
  if (about === null) return null
  return about.isDirectory() ? 'folder' : 'file'
}

function look(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}

/** The manifests that lie in a folder itself, as `kubectl apply -f` takes them. */
export async function manifestsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder)
  return names
    .filter((name) => /\.(?:ya?ml|json)$/.test(name))
    .sort()
    .map((name) => join(folder, name))
}
