import { resolvePath } from '../core/watch.js'

interface Stage {
  readonly name: string
  readonly base: string
  readonly workdir: string | null
}

/** The last WORKDIR of a Dockerfile's stage (by default the last one) or of what it is built from, or null. */
export function workdirOf(dockerfile: string, target: string | null): string | null {
  const stages = stagesOf(dockerfile)
  const wanted = target?.toLowerCase() ?? null
  const stage = wanted === null ? stages.at(-1) : stages.find(({ name }) => name === wanted)
  return stage?.workdir ?? null
}

function stagesOf(dockerfile: string): readonly Stage[] {
  const stages: Stage[] = []
  for (const line of dockerfile.replaceAll(/\\\r?\n/g, ' ').split(/\r?\n/)) {
    const from = /^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?/i.exec(line)
    if (from !== null) {
      const base = (from[1] ?? '').toLowerCase()
      const inherited = stages.findLast(({ name }) => name === base)?.workdir ?? null
      stages.push({ name: (from[2] ?? String(stages.length)).toLowerCase(), base, workdir: inherited })
    }
    const path = /^\s*WORKDIR\s+(.+?)\s*$/i.exec(line)?.[1]?.replace(/^["']|["']$/g, '')
    const last = stages.pop()
    if (last === undefined) continue
    // What a variable stands for is known only in the build.
    const known = path === undefined || path.includes('$')
    stages.push(known ? last : { ...last, workdir: resolvePath(last.workdir ?? '/', path) })
  }
  return stages
}
