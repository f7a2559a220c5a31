import { resolvePath } from '../core/watch.js'
import { stageChain } from './dockerfile.js'

/** The last WORKDIR of a Dockerfile's stage (by default the last one) or of what it is built from, or null. */
export function workdirOf(dockerfile: string, target: string | null): string | null {
  const instructions = stageChain(dockerfile, target).flat()
  return instructions.reduce<string | null>((workdir, { name, rest }) => {
    const path = rest.replace(/^["']|["']$/g, '')
    // What a variable stands for is known only in the build.
    return name !== 'WORKDIR' || path.includes('$') ? workdir : resolvePath(workdir ?? '/', path)
  }, null)
}
