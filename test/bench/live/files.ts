import { createHash } from 'node:crypto'

/** A file of about a kilobyte that no other has. */
export function content(name: string, version: string): string {
  return `${name} ${version}\n${'a line of source as long as most are\n'.repeat(26)}`
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** `count` names over folders of a hundred. */
export function names(count: number, prefix = 'package'): readonly string[] {
  return Array.from(
    { length: count },
    (_, index) => `${prefix}${String(Math.floor(index / 100)).padStart(3, '0')}/module${String(index)}.py`,
  )
}
