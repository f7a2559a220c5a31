import type { Service, WatchRule } from '../../core/project.js'
import type { Approvals } from '../approvals.js'
import type { Sources } from '../ports.js'
import { isWithin } from '../../core/update.js'
import type { Changes } from './changes.js'

/** Asks before everything below a watched folder is deleted: a folder that was moved away may come back. */
export interface MassDeletes {
  /** Id of the approval that is waited for, or null. */
  readonly held: string | null
  /** Files changed: what waits may be back. */
  lookAgain(signal: AbortSignal): Promise<void>
  /** The changes without the deletions that wait. */
  holdBack(changes: Changes, signal: AbortSignal): Promise<Changes>
}

interface Options {
  readonly sources: Sources
  readonly approvals: Approvals
}

export function createMassDeletes(options: Options, service: Service, levelAll: () => void): MassDeletes {
  const { sources, approvals } = options
  const id = `delete-${service.name}`
  const allowed = new Set<string>()
  const waiting = new Map<string, number>()

  const isEmptied = async (rule: WatchRule, signal: AbortSignal): Promise<boolean> =>
    (await sources.scan(service, [rule.path], signal)).files.length === 0

  const ask = (): void => {
    const files = [...waiting.values()].reduce((sum, count) => sum + count, 0)
    const folders = [...waiting.keys()]
    const text = `${folders.join(', ')} is empty or gone: delete ${String(files)} files in ${service.name}?`
    approvals.request({ id, kind: 'delete', service: service.name, text, detail: folders }, () => {
      for (const folder of folders) allowed.add(folder)
      waiting.clear()
      levelAll()
      return Promise.resolve()
    })
  }

  const lookAgain = async (signal: AbortSignal): Promise<void> => {
    if (waiting.size === 0) return
    for (const path of waiting.keys()) {
      const rule = service.watch.find((candidate) => candidate.path === path)
      if (rule !== undefined && !(await isEmptied(rule, signal))) waiting.delete(path)
    }
    if (waiting.size > 0) return
    approvals.withdraw(id, 'the files are back')
    levelAll()
  }

  return {
    lookAgain,
    get held() {
      return waiting.size > 0 ? id : null
    },
    async holdBack(changes, signal) {
      const heldTargets: string[] = []
      for (const rule of service.watch) {
        const { target } = rule
        if (target === null) continue
        const gone = changes.gone.filter((candidate) => isWithin(target, candidate))
        if (gone.length < 2 || !(await isEmptied(rule, signal))) {
          allowed.delete(rule.path)
          continue
        }
        if (allowed.has(rule.path)) continue
        waiting.set(rule.path, gone.length)
        heldTargets.push(...gone)
      }
      if (heldTargets.length > 0) ask()
      const held = new Set(heldTargets)
      return held.size === 0
        ? changes
        : { ...changes, gone: changes.gone.filter((target) => !held.has(target)) }
    },
  }
}
