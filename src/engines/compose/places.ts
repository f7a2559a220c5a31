import { posix } from 'node:path'
import { isWithin } from '../../core/update.js'
import type { ContainerFiles } from './container-files.js'
import type { Docker } from './docker.js'
import { runInside } from './run-inside.js'

/** What may be written to in one container. */
export interface Bounds {
  /** Targets of the service's rules: nothing below one of them is written outside of it. */
  readonly roots: readonly string[]
  /** Where folders and files of this machine are mounted. */
  readonly binds: readonly string[]
}

export interface PlacesRequest {
  readonly docker: Docker
  readonly files: ContainerFiles
  /** The container, and whether commands can run in it. */
  readonly id: string
  readonly running: boolean
  readonly bounds: Bounds
  /** Folders that are there, with the place where each really is; what is found is added. */
  readonly there: Map<string, string>
  readonly signal: AbortSignal
}

export interface Places {
  /** Folders that are not there, outermost first. */
  readonly missing: readonly string[]
  /** Targets that must not be touched, and why. */
  readonly refused: ReadonlyMap<string, string>
}

type Found =
  | { readonly kind: 'folder' }
  | { readonly kind: 'link'; readonly leadsTo: string }
  | { readonly kind: 'other' }
  | { readonly kind: 'missing' }

/** Looks at the folders that lead to the targets. What lies below a missing folder is missing without a look. */
export async function findPlaces(request: PlacesRequest, targets: readonly string[]): Promise<Places> {
  const { there } = request
  const missing = new Set<string>()
  /** Folder -> why nothing may be written below it. */
  const closed = new Map<string, string>()
  let level = unknownFolders(targets, there)
  const probed = level.length > FEW && request.running ? await probe(request, level) : null
  while (level.length > 0) {
    // Each level needs to know what the one above it turned out to be.
    const ready = level.filter((folder) => known(posix.dirname(folder), there, missing, closed))
    const looked = await lookAt(request, ready, probed, missing, closed)
    for (const [folder, found] of looked) settle(request, folder, found, missing, closed)
    const done = new Set(ready)
    level = level.filter((folder) => !done.has(folder))
  }
  const refused = new Map<string, string>()
  for (const target of targets) {
    const cause = closed.get(posix.dirname(target)) ?? throughMount(target, request)
    if (cause !== null) refused.set(target, cause)
  }
  return { missing: [...missing], refused }
}

function known(
  folder: string,
  there: ReadonlyMap<string, string>,
  missing: ReadonlySet<string>,
  closed: ReadonlyMap<string, string>,
): boolean {
  return there.has(folder) || missing.has(folder) || closed.has(folder)
}

/** All folders above the targets that nothing is known of, outermost first. */
function unknownFolders(targets: readonly string[], there: ReadonlyMap<string, string>): readonly string[] {
  const found = new Set<string>()
  for (const target of targets) {
    let folder = posix.dirname(target)
    while (!there.has(folder) && !found.has(folder)) {
      found.add(folder)
      folder = posix.dirname(folder)
    }
  }
  return [...found].sort((a, b) => depth(a) - depth(b))
}

function depth(path: string): number {
  return path.split('/').length
}

async function lookAt(
  request: PlacesRequest,
  folders: readonly string[],
  probed: ReadonlyMap<string, Found> | null,
  missing: ReadonlySet<string>,
  closed: ReadonlyMap<string, string>,
): Promise<readonly (readonly [string, Found])[]> {
  return await Promise.all(
    folders.map(async (folder) => {
      const above = posix.dirname(folder)
      if (missing.has(above)) return [folder, { kind: 'missing' }] as const
      if (closed.has(above)) return [folder, { kind: 'other' }] as const
      const quick = probed?.get(folder)
      if (quick !== undefined) return [folder, quick] as const
      return [folder, (await request.files.stat(request.id, folder, request.signal)) ?? MISSING] as const
    }),
  )
}

const MISSING: Found = { kind: 'missing' }

function settle(
  { there, bounds }: PlacesRequest,
  folder: string,
  found: Found,
  missing: Set<string>,
  closed: Map<string, string>,
): void {
  const above = posix.dirname(folder)
  const outer = closed.get(above)
  if (outer !== undefined) closed.set(folder, outer)
  else if (found.kind === 'missing') missing.add(folder)
  else if (found.kind === 'other') closed.set(folder, `${folder} is a file in the container, not a folder`)
  else {
    const real =
      found.kind === 'link' ? found.leadsTo : posix.join(there.get(above) ?? above, posix.basename(folder))
    const cause = found.kind === 'link' ? leadsOut(folder, real, bounds, there) : null
    if (cause === null) there.set(folder, real)
    else closed.set(folder, cause)
  }
}

/** Below a rule's target a link may lead to another place below it, and nowhere else. */
function leadsOut(
  folder: string,
  real: string,
  { roots, binds }: Bounds,
  there: ReadonlyMap<string, string>,
): string | null {
  const link = `${folder} is a link to ${real} in the container`
  const bind = binds.find((path) => isWithin(path, real))
  if (bind !== undefined) return `${link}, where a folder of this machine is mounted`
  const [root] = roots
    .filter((path) => path !== folder && isWithin(path, folder))
    .toSorted((a, b) => b.length - a.length)
  if (root === undefined || isWithin(there.get(root) ?? root, real)) return null
  return `${link}, outside of ${root}`
}

/** The target with no link on the way to it; its own last part is not followed. */
export function realPath(there: ReadonlyMap<string, string>, target: string): string {
  const above = posix.dirname(target)
  return posix.join(there.get(above) ?? above, posix.basename(target))
}

function throughMount(target: string, { there, bounds }: PlacesRequest): string | null {
  const real = realPath(there, target)
  const bind = bounds.binds.find((path) => isWithin(path, real) || isWithin(path, target))
  return bind === undefined
    ? null
    : `${bind} is a folder of this machine: nothing is written into your own files`
}

// ---- many folders ---------------------------------------------------------------------------------------------------

/** Up to so many are asked for one by one: a command in the container costs as much as thirty looks. */
const FEW = 24
const FOLDERS_A_CALL = 400
/** One letter for each path, so that no name is ever printed. */
const SCRIPT =
  'for p; do if [ -L "$p" ]; then printf l; elif [ -d "$p" ]; then printf d; elif [ -e "$p" ]; then printf o; else printf m; fi; done'

/** One command instead of many looks; nothing where the image has no shell. Links are left to a look of their own. */
async function probe(
  { docker, id, signal }: PlacesRequest,
  folders: readonly string[],
): Promise<ReadonlyMap<string, Found>> {
  const found = new Map<string, Found>()
  for (let from = 0; from < folders.length; from += FOLDERS_A_CALL) {
    const some = folders.slice(from, from + FOLDERS_A_CALL)
    const { exitCode, output } = await runInside(docker, id, ['sh', '-c', SCRIPT, 'sh', ...some], '0', signal)
    if (exitCode !== 0 || output.length !== some.length) break
    for (const [index, folder] of some.entries()) {
      const letter = output[index]
      if (letter === 'd') found.set(folder, { kind: 'folder' })
      if (letter === 'm') found.set(folder, MISSING)
      if (letter === 'o') found.set(folder, { kind: 'other' })
    }
  }
  return found
}
