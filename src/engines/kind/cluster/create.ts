import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setInterval } from 'node:timers'
import { setTimeout as wait } from 'node:timers/promises'
import { DevstackError } from '../../../core/error.js'
import { explainEngineText, isNotFound } from '../../compose/docker.js'
import type { Docker } from '../../compose/docker.js'
import type { ClusterConfig } from './config.js'
import { createKind } from './kind.js'
import { createNodeContainers } from './nodes.js'
import type { ClusterOptions, EnsureOptions } from './options.js'
import { followCreation } from './progress.js'
import type { UsualTimes } from './progress.js'
import { readOwn, writeOwn, writeRecord } from './state.js'
import type { ClusterPlaces, ClusterRecord } from './state.js'

/** Of the network that kind puts its nodes into. */
const NETWORK = 'kind'

/**
 * Makes the cluster; what a failure or an abort leaves half made is removed.
 * @throws DevstackError IMAGE_UNAVAILABLE, PORT_TAKEN, DISK_FULL, OPERATION_FAILED
 */
export async function createCluster(
  options: EnsureOptions,
  config: ClusterConfig,
  places: ClusterPlaces,
  signal: AbortSignal,
): Promise<void> {
  const { name, image, docker } = options
  await requireImage(docker, image, signal)
  const before = await networkId(docker, signal)
  const record: ClusterRecord = {
    name,
    phase: 'making',
    since: Date.now(),
    image,
    configHash: config.hash,
    nodes: [],
    network: null,
  }
  // kind would add to a file that is there.
  await rm(places.kubeconfig, { force: true })
  await writeRecord(places, record)
  try {
    await runCreation(options, config, places, signal)
    const made = await createNodeContainers(docker).list(name, signal)
    const network = before === null ? await networkId(docker, signal) : null
    const nodes = made.map(({ id, name }) => ({ id, name }))
    await writeRecord(places, { ...record, phase: 'made', nodes, network })
  } catch (error) {
    await cleanUp(options, places)
    throw error
  }
}

/** Where even that fails the record stays, and says to the next one that what it finds is ours. */
async function cleanUp(options: EnsureOptions, places: ClusterPlaces): Promise<void> {
  try {
    await deleteNodes(options, places)
    await rm(places.record, { force: true })
  } catch {
    options.warn('what was made of the cluster could not be removed', 'the next devstack up does it')
  }
}

async function runCreation(
  options: EnsureOptions,
  config: ClusterConfig,
  places: ClusterPlaces,
  signal: AbortSignal,
): Promise<void> {
  const file = join(places.folder, 'cluster.yaml')
  await writeFile(file, config.text, { mode: 0o600 })
  const usualFile = join(places.folder, '..', 'usual.json')
  const several = /role:\s*['"]?worker/.test(config.text)
  const creation = followCreation(
    await readUsual(usualFile),
    several,
    () => performance.now(),
    options.progress,
  )
  const clock = setInterval(() => creation.tell(), 1000)
  try {
    const kind = createKind(options, places.kubeconfig)
    const argv = ['create', 'cluster', '--name', options.name, '--image', options.image, '--config', file]
    const { exitCode, stderr } = await kind(argv, (line) => creation.line(line), signal)
    if (exitCode !== 0) throw creationFailed(stderr)
  } finally {
    clearInterval(clock)
  }
  await writeOwn(usualFile, `${JSON.stringify(creation.took())}\n`)
}

async function readUsual(file: string): Promise<UsualTimes> {
  const found = await readOwn(file)
  if (found === null || 'refused' in found) return {}
  try {
    return { ...(JSON.parse(found.text) as UsualTimes) }
  } catch {
    return {}
  }
}

function creationFailed(lines: readonly string[]): DevstackError {
  const text = lines.join('\n')
  const known = explainEngineText(text)
  if (known !== null) return known
  const failed = lines.findIndex((line) => line.startsWith('ERROR:'))
  return new DevstackError('OPERATION_FAILED', 'kind could not make the cluster', {
    cause: lines.slice(failed < 0 ? -15 : failed, failed < 0 ? undefined : failed + 15).join('\n'),
    hint: 'devstack doctor --engine kind says what of this machine is scarce',
  })
}

async function requireImage(docker: Docker, image: string, signal: AbortSignal): Promise<void> {
  try {
    await docker.get(`/images/${image}/json`, {}, signal)
  } catch (error) {
    if (!isNotFound(error)) throw error
    throw new DevstackError('IMAGE_UNAVAILABLE', `the node image ${image} is not there`, {
      cause: 'the engine does not have it',
      hint: 'devstack images shows it; devstack up --engine kind makes it',
    })
  }
}

/**
 * Removes the node containers of the name and their volumes; the caller has made sure that they are ours. Not ended by a
 * signal: what is half removed is worse. An engine that was told to make a container may do so after its client is gone.
 */
export async function deleteNodes(options: ClusterOptions, places: ClusterPlaces): Promise<void> {
  const kind = createKind(options, places.kubeconfig)
  const containers = createNodeContainers(options.docker)
  for (let empty = 0; empty < 2;) {
    const signal = AbortSignal.timeout(120_000)
    const left = await containers.list(options.name, signal)
    if (left.length > 0) {
      empty = 0
      const argv = ['delete', 'cluster', '--name', options.name]
      const { exitCode, stderr } = await kind(argv, () => undefined, signal)
      if (exitCode !== 0) {
        throw new DevstackError('OPERATION_FAILED', `the cluster ${options.name} could not be removed`, {
          cause: stderr.join('\n'),
          hint: `kind delete cluster --name ${options.name}`,
        })
      }
    } else {
      empty++
      if (empty < 2) await wait(200)
    }
  }
  await rm(places.kubeconfig, { force: true })
  await rm(places.proven, { force: true })
}

/** Null where there is no such network. */
async function networkId(docker: Docker, signal: AbortSignal): Promise<string | null> {
  const found = await docker.get<readonly { readonly Id: string; readonly Name: string }[]>(
    '/networks',
    { filters: { name: [NETWORK] } },
    signal,
  )
  // The engine's filter also finds names that only contain it.
  return found.find(({ Name }) => Name === NETWORK)?.Id ?? null
}

/** kind leaves its network; what came with our cluster goes with it, unless somebody uses it. */
export async function removeNetwork(
  { docker }: ClusterOptions,
  { network }: ClusterRecord,
  signal: AbortSignal,
): Promise<void> {
  if (network === null) return
  try {
    const { Containers } = await docker.get<{ readonly Containers?: object }>(
      `/networks/${network}`,
      {},
      signal,
    )
    if (Object.keys(Containers ?? {}).length > 0) return
    await (await docker.client()).getNetwork(network).remove({ abortSignal: signal })
  } catch (error) {
    signal.throwIfAborted()
    const { statusCode } = error as { statusCode?: number }
    // 403: somebody has come to use it in the meantime.
    if (statusCode !== 404 && statusCode !== 403)
      throw docker.explain(error, 'remove the network of the cluster')
  }
}

/** Gets the kubeconfig from the node once more, where it was removed by hand. */
export async function exportKubeconfig(
  options: ClusterOptions,
  places: ClusterPlaces,
  signal: AbortSignal,
): Promise<void> {
  if (await readFile(places.kubeconfig).catch(() => null)) return
  const kind = createKind(options, places.kubeconfig)
  const argv = ['export', 'kubeconfig', '--name', options.name]
  const { exitCode, stderr } = await kind(argv, () => undefined, signal)
  if (exitCode === 0) return
  throw new DevstackError('OPERATION_FAILED', 'the kubeconfig of the cluster is gone', {
    cause: stderr.join('\n'),
    hint: 'devstack down --cluster --engine kind, then devstack up --engine kind makes it anew',
  })
}
