import { DevstackError } from '../../core/error.js'
import type { Instance } from '../../core/project.js'
import type { Docker } from './docker.js'
import { runBeside } from './run-beside.js'
import { runInside } from './run-inside.js'

type Container = Pick<Instance, 'id' | 'service'>

/** Deletes in a container that runs. */
export interface Remover {
  /** Files and folders; what is not there is no error. */
  remove(container: Container, targets: readonly string[], signal: AbortSignal): Promise<void>
  /** Folders in which nothing is left, in this order; the others stay. */
  removeEmpty(container: Container, folders: readonly string[], signal: AbortSignal): Promise<void>
  /** A folder in which nothing is but folders, with these; what holds a file stays. Does nothing where the image has no find. */
  removeEmptyTree(container: Container, folder: string, signal: AbortSignal): Promise<void>
}

/** The kernel takes two megabytes of arguments, names and all. */
const MOST = { paths: 4000, bytes: 400_000 } as const
/** `command not found` and `cannot be run`, as shells and the engine tell it. */
const NO_PROGRAM: ReadonlySet<number> = new Set([126, 127])

export function createRemover(docker: Docker): Remover {
  /** Containers without the programs. */
  const bare = new Set<string>()
  const run = async (
    container: Container,
    argv: readonly string[],
    targets: readonly string[],
    signal: AbortSignal,
  ) => {
    if (!bare.has(container.id)) {
      // As root: the file may belong to the image, and the container's own user may not touch it.
      const done = await runInside(docker, container.id, [...argv, '--', ...targets], '0', signal)
      if (!NO_PROGRAM.has(done.exitCode)) return done
      bare.add(container.id)
    }
    return await runBeside(docker, container, argv, targets, signal)
  }
  return {
    async remove(container, targets, signal) {
      for (const some of portions(targets)) {
        const { exitCode, output } = await run(container, ['rm', '-rf'], some, signal)
        if (exitCode !== 0) throw failed(container.service, output)
      }
    },
    async removeEmptyTree({ id }, folder, signal) {
      // Innermost first; one that is not empty makes rmdir fail, which is as it should be.
      const argv = ['find', folder, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';']
      await runInside(docker, id, argv, '0', signal)
    },
    async removeEmpty(container, folders, signal) {
      for (const some of portions(folders)) await run(container, ['rmdir'], some, signal)
    },
  }
}

function failed(service: string, output: string): DevstackError {
  const readOnly = /read-only file system/i.test(output)
  return new DevstackError('DELIVERY_FAILED', `could not delete files in ${service}`, {
    cause: output,
    hint: readOnly
      ? 'its root file system is read-only: use a rebuild rule instead of sync'
      : `a rebuild brings it level: devstack up --build ${service}`,
  })
}

function portions(targets: readonly string[]): readonly (readonly string[])[] {
  const all: string[][] = []
  let bytes: number = MOST.bytes
  for (const target of targets) {
    const size = Buffer.byteLength(target) + 9
    const last = all.at(-1)
    if (last === undefined || last.length >= MOST.paths || bytes + size > MOST.bytes) {
      all.push([target])
      bytes = size
    } else {
      last.push(target)
      bytes += size
    }
  }
  return all
}
