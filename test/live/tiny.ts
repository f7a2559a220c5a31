import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { makePlace, type Place } from '../e2e/support.ts'

const run = promisify(execFile)

/** Where `src` of a tiny place is delivered. */
export const TARGET = '/app/src'

/** One service that does nothing, of an image that has the project's `src` in it and starts at once. */
export function makeTiny(files: Readonly<Record<string, string>>): Promise<Place> {
  return makePlace({
    'compose.yaml': `services:
  app:
    build: .
    init: true
    command: [sleep, infinity]
    stop_grace_period: 1s
    develop: { watch: [{ action: sync, path: src, target: ${TARGET} }] }
`,
    Dockerfile: `FROM debian:trixie\nCOPY src ${TARGET}\n`,
    ...Object.fromEntries(Object.entries(files).map(([path, text]) => [`src/${path}`, text])),
  })
}

/** What a command prints in the place's container, byte for byte (as latin1), or null where it fails. */
export async function inside(place: Place, ...argv: readonly string[]): Promise<string | null> {
  const [container] = await place.containers()
  try {
    const options = { encoding: 'latin1', maxBuffer: 64 * 1024 * 1024 } as const
    return (await run('docker', ['exec', container?.id ?? '', ...argv], options)).stdout
  } catch {
    return null
  }
}
