import type { ImageSource } from '../../../core/images.js'
import type { RegistryAnswer } from '../../images/registry.js'

/** What is known without asking anybody but this machine. */
export interface NodeImageFacts {
  readonly source: ImageSource
  /** The image of kind's makers is here. */
  readonly pulled: boolean
  /** The image of the recipe is here. */
  readonly built: boolean
  /** The image of the recipe is in the user's cache. */
  readonly cached: boolean
}

/** What is done to have a node image, and why. */
export interface NodeImageChoice {
  readonly action: 'usePulled' | 'useBuilt' | 'load' | 'pull' | 'build'
  readonly reason: string
}

/** @returns null where a registry has to be asked first */
export function chooseWithoutAsking(facts: NodeImageFacts): NodeImageChoice | null {
  const { source, pulled, built, cached } = facts
  if (source !== 'local' && pulled) return { action: 'usePulled', reason: 'already on this machine' }
  if (source === 'registry') return { action: 'pull', reason: 'images.source is registry' }
  if (built) return { action: 'useBuilt', reason: 'built earlier from the recipe in kind/node' }
  // Where it was built once no registry answered, and the file is quicker than any.
  if (cached) return { action: 'load', reason: 'built earlier; in the cache of this user' }
  if (source === 'local') return { action: 'build', reason: 'images.source is local' }
  return null
}

export function chooseByRegistry({ host, answers, why }: RegistryAnswer): NodeImageChoice {
  return answers
    ? { action: 'pull', reason: `${host} answers` }
    : { action: 'build', reason: `${host} does not answer (${why})` }
}
