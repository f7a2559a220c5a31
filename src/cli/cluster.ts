import { DevstackError } from '../core/error.js'
import type { Progress } from '../core/events.js'
import type { ClusterOptions, EnsureOptions } from '../engines/kind/cluster/options.js'
import type { NodeImage, NodeImageDescription } from '../engines/kind/node-image/options.js'
import { engineEndpoint } from '../host/bootstrap/endpoint.js'
import { stateRoot } from '../host/project/state.js'
import type { CommandContext } from './commands.js'
import { confirm, printError, type Io } from './io.js'
import { bringWhatLacks } from './machine.js'
import { packagePath, type StackRef } from './stack.js'
import { withInterrupt } from './with-interrupt.js'

/** One cluster a user. Users who share an engine name theirs by DEVSTACK_CLUSTER: the names of containers are the engine's. */
const CLUSTER = 'devstack'
/** As kind takes names, and short enough for the names that its nodes get of it (63, of which `-control-plane` takes 14). */
const CLUSTER_NAME = /^[a-z0-9][a-z0-9.-]{0,48}$/

/** A namespace a worktree: as DNS has it, which project names nearly are. */
export function namespaceOf(project: string): string {
  return project.slice(0, 63).replaceAll('_', '-').replace(/-+$/, '')
}

/** Its name for kind. */
function clusterName(env: Io['env']): string {
  const wanted = env['DEVSTACK_CLUSTER'] ?? ''
  if (wanted === '') return CLUSTER
  if (CLUSTER_NAME.test(wanted)) return wanted
  throw new DevstackError('USAGE', `DEVSTACK_CLUSTER=${wanted} is no name for a cluster`, {
    hint: 'up to 49 small letters, digits, dots and hyphens, such as devstack-ada',
  })
}

/**
 * What every question about the cluster takes.
 * @throws DevstackError USAGE where DEVSTACK_CLUSTER is no name
 */
export async function clusterOptions(env: Io['env']): Promise<ClusterOptions> {
  const { createDocker } = await import('../engines/compose/docker.js')
  const docker = createDocker((await engineEndpoint(env)).host)
  return { name: clusterName(env), stateRoot: stateRoot(env), docker, env }
}

/**
 * Sees that the cluster is there before a session is started: tools, node image, nodes; tells on stderr how far it is. Costs a
 * few questions where nothing lacks.
 * @throws DevstackError STATE_FOREIGN, IMAGE_UNAVAILABLE, PORT_TAKEN, CONSENT_NEEDED, ...
 */
export async function prepareCluster(context: CommandContext, stack: StackRef): Promise<void> {
  const { findCluster } = await import('../engines/kind/cluster/ensure.js')
  const options = await clusterOptions(context.io.env)
  await withInterrupt(async (signal) => {
    if (await runs(() => findCluster(options, signal))) return
    await bringWhatLacks(context, true)
    const { ref: image, saved } = await bringNodeImage(context, stack, signal)
    await bringCluster(context, { ...options, image, configFile: stack.clusterConfig }, signal)
    // It went on beside the creation; without its file whoever removes the image has it built again.
    await saved
  })
}

async function bringCluster(
  { io, globals }: CommandContext,
  options: ClusterOptions & Pick<EnsureOptions, 'image' | 'configFile'>,
  signal: AbortSignal,
): Promise<void> {
  const { ensureCluster } = await import('../engines/kind/cluster/ensure.js')
  const { formatOwner, portOwner } = await import('../host/doctor/ports.js')
  const line = createProgressLine(io, 'cluster')
  const wanted: EnsureOptions = {
    ...options,
    progress: line.tell,
    warn: (message, hint) => {
      line.end()
      printError(io, hint === null ? message : `${message}; ${hint}`)
    },
    portOwner: async (port) => {
      const owner = await portOwner(port, { env: io.env })
      return owner === null ? null : formatOwner(owner)
    },
    confirmLoss: async (why) => {
      line.end()
      const question = `${why}. Make the cluster anew? All data in it will be gone.`
      return (await confirm(io, question, globals)) === true
    },
  }
  try {
    await ensureCluster(wanted, signal)
  } finally {
    line.end()
  }
}

/** False also where it stands still: then it is started. */
async function runs(find: () => Promise<unknown>): Promise<boolean> {
  try {
    return (await find()) !== null
  } catch (error) {
    if (error instanceof DevstackError && error.code === 'ENGINE_NOT_RUNNING') return false
    throw error
  }
}

async function bringNodeImage(
  { io }: CommandContext,
  stack: StackRef,
  signal: AbortSignal,
): Promise<NodeImage> {
  const { ensureNodeImage } = await import('../engines/kind/node-image/node-image.js')
  const line = createProgressLine(io, 'node image')
  try {
    return await ensureNodeImage({ ...(await nodeImageOptions(io.env, stack)), progress: line.tell }, signal)
  } finally {
    line.end()
  }
}

/** What every question about the node image takes. */
async function nodeImageOptions(env: Io['env'], stack: Pick<StackRef, 'imageSource'>) {
  return {
    env,
    endpoint: (await engineEndpoint(env)).host,
    kindFolder: packagePath('kind'),
    recipesFolder: packagePath('compose/images'),
    source: stack.imageSource,
  }
}

/** The image of the cluster's nodes, for `devstack images`. */
export async function nodeImage(
  env: Io['env'],
  stack: Pick<StackRef, 'imageSource'>,
  signal: AbortSignal,
): Promise<NodeImageDescription> {
  const { describeNodeImage } = await import('../engines/kind/node-image/node-image.js')
  return await describeNodeImage(await nodeImageOptions(env, stack), signal)
}

interface ProgressLine {
  readonly tell: (progress: Progress) => void
  readonly end: () => void
}

const LINE_MS = 10_000

/** What is done now: in place on a terminal; elsewhere a line for each new step, and a sign of life now and then. */
function createProgressLine({ stderr }: Io, what: string): ProgressLine {
  let last = ''
  let toldAt = 0
  let open = false
  return {
    tell({ text, step, steps, percent }) {
      const count = step === null || steps === null ? '' : ` ${String(step)}/${String(steps)}`
      const share = percent === null ? '' : `, ${String(Math.round(percent))}%`
      const line = `◐ ${what}${count}: ${text}${share}`
      if (stderr.isTTY) {
        stderr.write(`\r\u001B[K${line.slice(0, (stderr.columns || 80) - 1)}`)
        open = true
        return
      }
      const plain = line.replaceAll(/\d+/g, '')
      if (plain === last && performance.now() - toldAt < LINE_MS) return
      last = plain
      toldAt = performance.now()
      stderr.write(`${line}\n`)
    },
    end() {
      if (open) stderr.write('\r\u001B[K')
      open = false
    },
  }
}

/** Removes the cluster, once nothing of the stack is in it any more. False where there was none. */
export async function removeOwnCluster(
  io: Io,
  stack: Pick<StackRef, 'name'>,
  signal: AbortSignal,
): Promise<boolean> {
  const { removeCluster } = await import('../engines/kind/cluster/remove.js')
  const options = await clusterOptions(io.env)
  const namespace = namespaceOf(stack.name)
  return await removeCluster(
    { ...options, namespace, force: false, say: (text) => printError(io, text) },
    signal,
  )
}
