import { posix } from 'node:path'
import { DevstackError } from '../../core/error.js'
import type { Instance } from '../../core/project.js'
import type { FileChange } from '../../orchestrator/ports.js'
import { packFiles } from './archive.js'
import type { Entry } from './archive.js'
import { isNotFound } from './docker.js'
import type { Docker } from './docker.js'
import { inspect } from './observe.js'
import { readOwner } from './owner.js'
import type { Owner } from './owner.js'
import { runInside } from './run-inside.js'

/** Writes and deletes files in containers. */
export interface Deliverer {
  deliver(instance: Instance, changes: readonly FileChange[], signal: AbortSignal): Promise<number>
  /** To be called right after a container started: see {@link Known.pending}. */
  started(id: string, service: string, signal: AbortSignal): Promise<void>
}

/** What is known of one container and stays so while it lives. */
interface Known {
  readonly owner: Owner
  readonly binds: readonly string[]
  /** Folders that are there. */
  readonly folders: Set<string>
  /**
   * Files to delete once the container runs. The engine can write into a container that does not run, but to delete takes a
   * process in it.
   */
  readonly pending: Set<string>
}

/** Names of users and folders are looked up once a container. */
export function createDeliverer(docker: Docker): Deliverer {
  const known = new Map<string, Known>()
  return {
    async deliver(instance, changes, signal) {
      const { deletes, writes } = order(changes.map(checkTarget))
      if (deletes.length + writes.length === 0) return 0
      try {
        const facts = known.get(instance.id) ?? (await learn(docker, instance, signal))
        known.set(instance.id, facts)
        refuseBinds(facts.binds, [...deletes, ...writes.map(({ target }) => target)], instance)
        if (instance.state === 'running') await removeFiles(docker, instance, deletes, signal)
        else for (const target of deletes) facts.pending.add(target)
        for (const { target } of writes) facts.pending.delete(target)
        for (const target of deletes) forget(facts.folders, target)
        if (writes.length === 0) return 0
        const folders = await missingFolders(docker, instance.id, writes, facts.folders, signal)
        const entries: Entry[] = [...folders.map((path): Entry => ({ type: 'folder', path })), ...writes]
        return await upload(docker, instance, await packFiles(entries, facts.owner, signal), signal)
      } catch (error) {
        signal.throwIfAborted()
        throw explainDelivery(docker, instance, error)
      }
    },
    async started(id, service, signal) {
      const pending = known.get(id)?.pending
      if (pending === undefined || pending.size === 0) return
      const targets = [...pending]
      pending.clear()
      await removeFiles(docker, { id, service }, targets, signal)
    },
  }
}

type Write = Extract<FileChange, { type: 'write' }>

/** The path is taken as it is written; anything that could mean another place is refused. */
function checkTarget(change: FileChange): FileChange {
  const { target } = change
  const clean = posix.normalize(target)
  if (target.includes('\0') || !target.startsWith('/') || clean !== target || target.endsWith('/')) {
    throw new DevstackError('DELIVERY_FAILED', `${JSON.stringify(target)} is no place for a file`, {
      cause: 'a target is an absolute path without "." and ".."',
    })
  }
  return change
}

/** The last word about each path counts. Deletes go first: a rename is a delete, then a write. */
function order(changes: readonly FileChange[]): { deletes: readonly string[]; writes: readonly Write[] } {
  const last = new Map<string, FileChange>()
  for (const change of changes) {
    last.delete(change.target)
    last.set(change.target, change)
    // What was written into a folder that is deleted after it is gone.
    if (change.type === 'write') continue
    for (const target of last.keys()) if (target.startsWith(`${change.target}/`)) last.delete(target)
  }
  const values = [...last.values()]
  return {
    deletes: values.filter(({ type }) => type === 'delete').map(({ target }) => target),
    writes: values.filter((change) => change.type === 'write'),
  }
}

async function learn(docker: Docker, instance: Instance, signal: AbortSignal): Promise<Known> {
  const container = await inspect(docker, instance.id, signal)
  if (container === null) throw gone(instance)
  return {
    owner: await readOwner(docker, container, signal),
    binds: container.Mounts.filter(({ Type }) => Type === 'bind').map(({ Destination }) => Destination),
    folders: new Set(['/']),
    pending: new Set(),
  }
}

// A write into a bind mount would go through to the user's own files.
function refuseBinds(binds: readonly string[], targets: readonly string[], instance: Instance): void {
  for (const target of targets) {
    const bind = binds.find((path) => target === path || target.startsWith(`${path}/`))
    if (bind === undefined) continue
    throw new DevstackError('DELIVERY_FAILED', `${target} of ${instance.service} lies in a bind mount`, {
      cause: `${bind} is a folder of this machine: writing there would write into your own files`,
      hint: 'take either the bind mount or the sync rule out of the compose file',
    })
  }
}

const PATHS_A_CALL = 500

async function removeFiles(
  docker: Docker,
  instance: Pick<Instance, 'id' | 'service'>,
  targets: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (let from = 0; from < targets.length; from += PATHS_A_CALL) {
    const argv = ['rm', '-rf', '--', ...targets.slice(from, from + PATHS_A_CALL)]
    // As root: the file may belong to the image, and the container's own user may not touch it.
    const { exitCode, output } = await runInside(docker, instance.id, argv, '0', signal)
    if (exitCode === 0) continue
    throw new DevstackError('DELIVERY_FAILED', `could not delete files in ${instance.service}`, {
      cause: output,
      hint: exitCode === 127 || exitCode === 126 ? 'its image has no rm: rebuild it instead' : null,
    })
  }
}

function forget(folders: Set<string>, target: string): void {
  for (const folder of folders)
    if (folder === target || folder.startsWith(`${target}/`)) folders.delete(folder)
}

/** The folders that the writes need and that are not there, outermost first. */
async function missingFolders(
  docker: Docker,
  id: string,
  writes: readonly Write[],
  there: Set<string>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const missing = new Set<string>()
  const visit = async (folder: string): Promise<void> => {
    if (there.has(folder) || missing.has(folder)) return
    if (!(await exists(docker, id, folder, signal))) {
      await visit(posix.dirname(folder))
      missing.add(folder)
    }
    // Those that are missing come with the same archive.
    there.add(folder)
  }
  for (const { target } of writes) await visit(posix.dirname(target))
  return [...missing]
}

async function exists(docker: Docker, id: string, path: string, signal: AbortSignal): Promise<boolean> {
  try {
    await (await docker.client()).getContainer(id).infoArchive({ path, abortSignal: signal })
    return true
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}

async function upload(
  docker: Docker,
  instance: Instance,
  archive: { readonly tar: Buffer; readonly bytes: number },
  signal: AbortSignal,
): Promise<number> {
  const container = (await docker.client()).getContainer(instance.id)
  await container.putArchive(archive.tar, { path: '/', abortSignal: signal })
  return archive.bytes
}

function gone(instance: Instance): DevstackError {
  return new DevstackError('DELIVERY_FAILED', `the container of ${instance.service} is gone`, {
    hint: `devstack up ${instance.service}`,
  })
}

function explainDelivery(docker: Docker, instance: Instance, error: unknown): Error {
  if (isNotFound(error) && !(error instanceof DevstackError)) return gone(instance)
  const explained = docker.explain(error, `deliver to ${instance.service}`)
  if (!(explained instanceof DevstackError) || explained.code !== 'OPERATION_FAILED') return explained
  const readOnly = /read-only/i.test(explained.why ?? '')
  return new DevstackError('DELIVERY_FAILED', `could not deliver to ${instance.service}`, {
    cause: explained.why,
    hint: readOnly ? 'its root file system is read-only: use a rebuild rule instead of sync' : null,
  })
}
