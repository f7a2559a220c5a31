import { DevstackError } from '../../core/error.js'
import type { Instance } from '../../core/project.js'
import { createFrameReader } from './frames.js'
import type { Docker } from './docker.js'
import { LABEL } from './labels.js'
import { sanitise } from './sanitise.js'

interface ListedImage {
  readonly Id: string
  readonly Created: number
  readonly RepoTags?: readonly string[] | null
}

/** Images of ours that have the usual programs, the smallest first. */
const KITS = ['devstack/base:', 'devstack/'] as const

/**
 * Runs a program on files of a container whose image has no such program: in a short-lived container of another image that
 * sees the first one's processes, and by way of its main process its files.
 * @param targets absolute paths in the container
 * @throws DevstackError DELIVERY_FAILED where no image can lend the program
 */
export async function runBeside(
  docker: Docker,
  container: Pick<Instance, 'id' | 'service'>,
  argv: readonly string[],
  targets: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const paths = targets.map((target) => `/proc/1/root${target}`)
  return await runHelper(
    docker,
    container,
    [...argv, '--', ...paths],
    ['SYS_PTRACE', 'DAC_OVERRIDE', 'FOWNER'],
    signal,
  )
}

/** A container that shares another one's processes, and is gone when its program has ended. */
export async function runHelper(
  docker: Docker,
  container: Pick<Instance, 'id' | 'service'>,
  argv: readonly string[],
  capabilities: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const image = await findKit(docker, container.service, argv[0] ?? '', signal)
  const client = await docker.client()
  const helper = await client.createContainer({
    Image: image,
    Entrypoint: argv.slice(0, 1),
    Cmd: argv.slice(1),
    User: '0:0',
    Labels: { [LABEL.helper]: container.id },
    HostConfig: {
      // For where nobody is left to remove it.
      AutoRemove: true,
      PidMode: `container:${container.id}`,
      NetworkMode: 'none',
      CapDrop: ['ALL'],
      CapAdd: [...capabilities],
    },
    abortSignal: signal,
  })
  try {
    const stream = await helper.attach({ stream: true, stdout: true, stderr: true, abortSignal: signal })
    const ended = helper.wait({ condition: 'removed', abortSignal: signal })
    ended.catch(() => undefined)
    await helper.start({ abortSignal: signal })
    const frames = createFrameReader()
    const pieces: Uint8Array[] = []
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      for (const { bytes } of frames(chunk)) pieces.push(bytes)
    }
    const { StatusCode } = (await ended) as { readonly StatusCode: number }
    return { exitCode: StatusCode, output: sanitise(Buffer.concat(pieces)).trim() }
  } finally {
    // Where it was aborted, and where it never started: then the engine does not remove it.
    await helper.remove({ force: true }).catch(() => undefined)
  }
}

async function findKit(
  docker: Docker,
  service: string,
  program: string,
  signal: AbortSignal,
): Promise<string> {
  const images = await docker.get<readonly ListedImage[]>('/images/json', {}, signal)
  const newest = images.toSorted((a, b) => b.Created - a.Created)
  for (const kit of KITS) {
    const found = newest.find(({ RepoTags }) => (RepoTags ?? []).some((tag) => tag.startsWith(kit)))
    if (found !== undefined) return found.Id
  }
  throw new DevstackError('DELIVERY_FAILED', `no image can lend a program to ${service}`, {
    cause: `${program} cannot be run in it, and no image of devstack is there that has it`,
    hint: `a rebuild brings it level: devstack up --build ${service}`,
  })
}
