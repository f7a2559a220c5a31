/**
 * `next`, with every part that equals its counterpart in `previous` replaced by it, so that an unchanged part is the same
 * object and is not drawn again. For plain data.
 */
export function share<T>(previous: T, next: T): T {
  if (Object.is(previous, next)) return previous
  if (typeof previous !== 'object' || typeof next !== 'object' || previous === null || next === null)
    return next
  if (Array.isArray(previous) !== Array.isArray(next)) return next
  const before = previous as Readonly<Record<string, unknown>>
  const after = next as Readonly<Record<string, unknown>>
  const keys = Object.keys(after)
  const shared = keys.map((key) => [key, share(before[key], after[key])] as const)
  const same =
    keys.length === Object.keys(before).length && shared.every(([key, value]) => value === before[key])
  if (same) return previous
  if (Array.isArray(next)) return shared.map(([, value]) => value) as T
  return Object.fromEntries(shared) as T
}
