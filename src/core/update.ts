import type { BindMount, Service, WatchAction, WatchRule } from './project.js'

/** Stronger actions first: a change that asks for several gets the strongest, which includes the others' effect. */
const STRENGTH: readonly WatchAction[] = ['rebuild', 'sync+restart', 'restart', 'sync+exec', 'sync']

/**
 * The rule of the service that covers the path: the closest one (`./requirements.txt` before `.`), so that a folder can be
 * synced and one file in it ask for a rebuild; of equally close ones the first.
 */
export function ruleFor(service: Pick<Service, 'watch'>, path: string): WatchRule | null {
  return service.watch.reduce<WatchRule | null>((best, rule) => {
    const closer = best === null || trimSlash(rule.path).length > trimSlash(best.path).length
    return covers(rule, path) && closer ? rule : best
  }, null)
}

/** Where a rule puts a host path in the container, or null where the rule does not deliver. */
export function targetOf(rule: WatchRule, path: string): string | null {
  if (rule.target === null || !covers(rule, path)) return null
  return path === rule.path
    ? rule.target
    : `${trimSlash(rule.target)}/${path.slice(trimSlash(rule.path).length + 1)}`
}

function covers(rule: WatchRule, path: string): boolean {
  return isWithin(rule.path, path)
}

function trimSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

/** The strongest of these, whose effect includes that of the others; null for none. */
export function strongest(actions: readonly WatchAction[]): WatchAction | null {
  return STRENGTH.find((candidate) => actions.includes(candidate)) ?? null
}

/**
 * The bind mount through which the container sees the rule's own files already, at the rule's target. Nothing is delivered
 * then: it would be written into the user's sources.
 */
export function mountedBy(service: Pick<Service, 'binds'>, rule: WatchRule): BindMount | null {
  const { target } = rule
  if (target === null) return null
  return (
    service.binds.find(
      (bind) => isWithin(bind.source, rule.path) && place(bind, rule.path) === trimSlash(target),
    ) ?? null
  )
}

/** Whether the target lies in a bind mount: behind it are the user's own files, which a delivery would write into. */
export function isMounted(service: Pick<Service, 'binds'>, target: string): boolean {
  return service.binds.some((bind) => isWithin(trimSlash(bind.target), target))
}

function place(bind: BindMount, path: string): string {
  const inside = path.slice(trimSlash(bind.source).length)
  return trimSlash(trimSlash(bind.target) + inside)
}

/** True for the path itself and for what is below it. */
export function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(`${trimSlash(folder)}/`)
}

/** The actions that put files into the container. */
export function delivers(action: WatchAction): boolean {
  return action === 'sync' || action === 'sync+restart' || action === 'sync+exec'
}
