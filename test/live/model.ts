import { createHash } from 'node:crypto'
import { appendFile, chmod, cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import fc from 'fast-check'

/** A folder of files that are never touched: nothing that is done here deletes most of what is watched. */
export const ANCHORS = 'anchors'

/** What happens to the files of a watched folder. `file` and `folder` choose among those that are there. */
export type FileOperation =
  | {
      readonly type: 'write'
      readonly path: string
      readonly text: string
      /** How often the text is repeated. */
      readonly times: number
      readonly atomic: boolean
    }
  | { readonly type: 'append' | 'touch' | 'delete'; readonly file: number }
  | { readonly type: 'rename'; readonly file: number; readonly path: string }
  | { readonly type: 'renameFolder'; readonly folder: number; readonly path: string }
  | { readonly type: 'deleteFolder' | 'copyFolder'; readonly folder: number }
  /** Its name is a folder's now. */
  | { readonly type: 'fileBecomesFolder'; readonly file: number }
  | { readonly type: 'rest'; readonly ms: number }

/** What happens to the container and to the session. */
export type StackOperation = { readonly type: 'restart' | 'recreate' | 'killSession' }

type OfFile = Extract<FileOperation, { readonly file: number }>
type OfFolder = Extract<FileOperation, { readonly folder: number }>

export type Operation = FileOperation | StackOperation

const name = fc.constantFrom('a', 'b', 'c', 'd.txt', 'e.py', 'with space', 'ünï')
/** Few names, so that operations meet; up to three deep. */
const anywhere = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
/** `kept` never is a file: the container has a folder of that name, in which a file is its own. */
const path = fc.oneof(
  { weight: 4, arbitrary: anywhere },
  { weight: 1, arbitrary: anywhere.map((below) => `kept/${below}`) },
)
const text = fc.string({ maxLength: 20 })
/** Most files are short; some are more than one read. */
const times = fc.oneof(
  { weight: 5, arbitrary: fc.constant(1) },
  { weight: 1, arbitrary: fc.constant(20_000) },
)
const which = fc.nat(1000)

const fileOperation: fc.Arbitrary<FileOperation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ type: fc.constant('write'), path, text, times, atomic: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constantFrom('append', 'touch', 'delete'), file: which }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('rename'), file: which, path }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('renameFolder'), folder: which, path }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('deleteFolder', 'copyFolder'), folder: which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('fileBecomesFolder'), file: which }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('rest'), ms: fc.nat(150) }) },
)

const stackOperation: fc.Arbitrary<StackOperation> = fc.record({
  type: fc.constantFrom('restart', 'recreate', 'killSession'),
})

/** Up to 25 operations, of which about one in twelve is the stack's. */
export const operations: fc.Arbitrary<readonly Operation[]> = fc.array(
  fc.oneof({ weight: 11, arbitrary: fileOperation }, { weight: 1, arbitrary: stackOperation }),
  { minLength: 1, maxLength: 25, size: 'max' },
)

/** Does it; where the files that are there do not allow it nothing happens. */
export async function change(root: string, operation: FileOperation): Promise<void> {
  switch (operation.type) {
    case 'write':
      return write(root, operation)
    case 'rest':
      return new Promise((resolve) => setTimeout(resolve, operation.ms))
    case 'append':
    case 'touch':
    case 'delete':
    case 'rename':
    case 'fileBecomesFolder': {
      const file = pick(await list(root, 'files'), operation.file)
      return file === null ? undefined : changeFile(root, join(root, file), operation)
    }
    case 'renameFolder':
    case 'deleteFolder':
    case 'copyFolder': {
      const folder = pick(await list(root, 'folders'), operation.folder)
      return folder === null ? undefined : changeFolder(root, join(root, folder), operation)
    }
    default:
      return operation satisfies never
  }
}

async function write(
  root: string,
  { path, text, times, atomic }: Extract<FileOperation, { type: 'write' }>,
): Promise<void> {
  const file = join(root, path)
  await possibly(async () => {
    await mkdir(dirname(file), { recursive: true })
    if (!atomic) return writeFile(file, text.repeat(times))
    await writeFile(`${file}.tmp`, text.repeat(times))
    await rename(`${file}.tmp`, file).catch(() => rm(`${file}.tmp`))
  })
}

async function changeFile(root: string, file: string, operation: OfFile): Promise<void> {
  switch (operation.type) {
    case 'append':
      return appendFile(file, 'more\n')
    case 'touch':
      return chmod(file, 0o755)
    case 'delete':
      return rm(file)
    case 'rename':
      return move(root, file, operation.path)
    case 'fileBecomesFolder':
      await rm(file)
      await mkdir(file)
      return writeFile(join(file, 'inner'), 'was a file\n')
    default:
      return operation satisfies never
  }
}

async function changeFolder(root: string, folder: string, operation: OfFolder): Promise<void> {
  switch (operation.type) {
    case 'renameFolder':
      return move(root, folder, operation.path)
    case 'deleteFolder':
      return rm(folder, { recursive: true })
    case 'copyFolder':
      return possibly(() => cp(folder, `${folder}-copy`, { recursive: true }))
    default:
      return operation satisfies never
  }
}

async function move(root: string, from: string, to: string): Promise<void> {
  await possibly(async () => {
    await mkdir(dirname(join(root, to)), { recursive: true })
    await rename(from, join(root, to))
  })
}

/** A file where a folder would have to be, or the other way round: the system refuses, and all stays as it is. */
async function possibly(work: () => Promise<unknown>): Promise<void> {
  const refused = [
    'ERR_FS_CP_DIR_TO_NON_DIR',
    'ENOTDIR',
    'EISDIR',
    'EEXIST',
    'ENOTEMPTY',
    'EINVAL',
    'ERR_FS_CP_NON_DIR_TO_DIR',
  ]
  try {
    await work()
  } catch (error) {
    if (!refused.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

async function list(root: string, kind: 'files' | 'folders'): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  return entries
    .filter(({ parentPath, name }) => parentPath !== join(root, ANCHORS) && name !== ANCHORS)
    .filter((entry) => (kind === 'files' ? entry.isFile() : entry.isDirectory()))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .toSorted()
}

function pick(paths: readonly string[], number: number): string | null {
  return paths.length === 0 ? null : (paths[number % paths.length] ?? null)
}

/** Path -> SHA-256 of every file below a folder, but for the anchors. */
export async function hashes(root: string): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {}
  for (const path of await list(root, 'files'))
    found[path] = createHash('sha256')
      .update(await readFile(join(root, path)))
      .digest('hex')
  return found
}
