import { rm } from 'node:fs/promises'
import type { Progress } from '../../../core/events.js'
import type { ImageSource } from '../../../core/images.js'
import { DevstackError } from '../../../core/error.js'
import type { EngineImage } from '../../images/engine.js'
import { shortReference } from '../../images/reference.js'
import { cachedSize, describeSaveFailure, loadFromCache, saveToCache } from './cache.js'
import { chooseByRegistry, chooseWithoutAsking } from './choose.js'
import type { NodeImageChoice } from './choose.js'
import { withCacheLock } from './lock.js'
import type { NodeImageParts } from './parts.js'
import type { NodeImage, NodeImageDescription, NodeImageOptions } from './options.js'

type Wishes = Pick<NodeImageOptions, 'source' | 'progress' | 'warn'>

/** As {@link ensureNodeImage}, with whatever it is done with. */
export async function ensure(parts: NodeImageParts, wishes: Wishes, signal: AbortSignal): Promise<NodeImage> {
  const quick = await chooseHere(parts, wishes.source, signal)
  if (quick?.action === 'usePulled' || quick?.action === 'useBuilt') return use(parts, quick, wishes, signal)
  const waiting = (): void => {
    wishes.progress(plain('waiting for another devstack, which makes the node image'))
  }
  const carryOut = async (): Promise<NodeImage> => {
    // Who had the lock may have brought it.
    const choice = (await chooseHere(parts, wishes.source, signal)) ?? (await ask(parts, wishes, signal))
    return await bring(parts, choice, wishes, signal)
  }
  return await withCacheLock(parts.cacheFolder, waiting, carryOut, signal)
}

/** As {@link describeNodeImage}. */
export async function describe(
  parts: NodeImageParts,
  source: ImageSource,
  signal: AbortSignal,
): Promise<NodeImageDescription> {
  const { node } = parts
  const choice = await chooseHere(parts, source, signal)
  const pulled = choice?.action === 'usePulled' || choice?.action === 'pull'
  const image = find(pulled ? node.registryImage : node.ref, await parts.engine.images(signal))
  return {
    ref: pulled ? node.registryImage : node.ref,
    origin: choice === null ? 'unknown' : ORIGIN[choice.action],
    present: image !== null,
    bytes: image?.size ?? null,
    cachedBytes: await cachedSize(parts.cacheFile),
    kubernetes: node.kubernetes,
    reason: choice?.reason ?? 'pulled where a registry answers, else built, which takes some minutes',
  }
}

const ORIGIN = {
  usePulled: 'pulled',
  pull: 'pulled',
  useBuilt: 'built',
  build: 'built',
  load: 'cached',
} as const

async function chooseHere(
  { node, engine, cacheFile }: NodeImageParts,
  source: ImageSource,
  signal: AbortSignal,
): Promise<NodeImageChoice | null> {
  const present = await engine.images(signal)
  return chooseWithoutAsking({
    source,
    pulled: find(node.registryImage, present) !== null,
    built: find(node.ref, present) !== null,
    cached: (await cachedSize(cacheFile)) !== null,
  })
}

async function ask(parts: NodeImageParts, wishes: Wishes, signal: AbortSignal): Promise<NodeImageChoice> {
  wishes.progress(plain('asking for the node image in its registry'))
  return chooseByRegistry(await parts.probe(parts.node.registryImage, signal))
}

async function bring(
  parts: NodeImageParts,
  choice: NodeImageChoice,
  wishes: Wishes,
  signal: AbortSignal,
): Promise<NodeImage> {
  const { node } = parts
  switch (choice.action) {
    case 'usePulled':
    case 'useBuilt':
      return use(parts, choice, wishes, signal)
    case 'pull':
      await parts.pull(wishes.progress, signal)
      return { ref: node.registryImage, origin: 'pulled', saved: Promise.resolve() }
    case 'load':
      if (await load(parts, wishes, signal)) {
        return { ref: node.ref, origin: 'loaded', saved: Promise.resolve() }
      }
      break
    case 'build':
      break
  }
  await parts.build(wishes.progress, signal)
  const saved = save(parts, wishes, signal).then(async () => {
    // It takes half a minute, for which nobody should wait.
    await parts.tidy(signal).catch(() => undefined)
  })
  return { ref: node.ref, origin: 'built', saved }
}

function use(
  parts: NodeImageParts,
  { action }: NodeImageChoice,
  wishes: Wishes,
  signal: AbortSignal,
): NodeImage {
  if (action === 'usePulled') {
    return { ref: parts.node.registryImage, origin: 'present', saved: Promise.resolve() }
  }
  return { ref: parts.node.ref, origin: 'present', saved: saveWhereMissing(parts, wishes, signal) }
}

/** False where the file did not hold the image: then it is gone, and the image has to be built. */
async function load(parts: NodeImageParts, wishes: Wishes, signal: AbortSignal): Promise<boolean> {
  const { node, archive, engine, cacheFile } = parts
  let why: string
  try {
    await loadFromCache(archive, cacheFile, wishes.progress, signal)
    if (find(node.ref, await engine.images(signal)) !== null) return true
    why = `it does not hold ${node.ref}`
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof DevstackError) throw error
    why = error instanceof Error ? error.message : String(error)
  }
  wishes.warn?.(`the file ${cacheFile} is damaged (${why}): the node image is built anew`)
  await rm(cacheFile, { force: true })
  return false
}

/** The process that built it may have been ended before the file was whole. */
async function saveWhereMissing(parts: NodeImageParts, wishes: Wishes, signal: AbortSignal): Promise<void> {
  if ((await cachedSize(parts.cacheFile)) === null) await save(parts, wishes, signal)
}

async function save(parts: NodeImageParts, wishes: Wishes, signal: AbortSignal): Promise<void> {
  try {
    await saveToCache(parts.archive, parts.node.ref, parts.cacheFile, signal)
  } catch (error) {
    if (!signal.aborted) wishes.warn?.(describeSaveFailure(error, parts.cacheFile))
  }
}

function find(ref: string, images: readonly EngineImage[]): EngineImage | null {
  const wanted = shortReference(ref)
  const found = images.find(({ tags, digests }) =>
    [...tags, ...digests].some((own) => shortReference(own) === wanted),
  )
  return found ?? null
}

function plain(text: string): Progress {
  return { text, step: null, steps: null, percent: null, bytes: null, totalBytes: null }
}
