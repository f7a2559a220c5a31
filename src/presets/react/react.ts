import type { WatchEntry } from '../../core/watch.js'
import { execOn, rebuildOn } from '../preset.js'
import type { Preset, SourcePlace, SourceView } from '../preset.js'

const LOCKS = ['package-lock.json', 'npm-shrinkwrap.json']

/** Those of other package managers, which the image may not have. */
const REBUILT = ['pnpm-lock.yaml', 'yarn.lock', 'bun.lock', 'bun.lockb', 'Dockerfile']

/** A React front end, as Vite serves it. Vite starts again by itself for its configuration. */
export const react: Preset = {
  name: 'react',
  detect,
  rules: (place) => [
    {
      action: 'sync',
      path: place.folder,
      target: place.target,
      ignore: [
        'node_modules/',
        'dist/',
        'build/',
        'coverage/',
        '.git/',
        'package.json',
        ...LOCKS,
        ...REBUILT,
      ],
    },
    ...packages(place),
    ...rebuildOn(place, REBUILT),
  ],
}

/** npm installs what its lock says; without one, and with another's, nobody knows what the image has. */
function packages(place: SourcePlace): readonly WatchEntry[] {
  const lock = LOCKS.find((name) => place.view.files.includes(name))
  return lock === undefined
    ? rebuildOn(place, ['package.json'])
    : execOn(place, ['package.json', lock], ['npm', 'ci', '--no-audit', '--no-fund'])
}

function detect({ texts }: SourceView): string | null {
  const packages = packagesOf(texts['package.json'] ?? '')
  if (!packages.has('react')) return null
  return packages.has('vite') ? 'React and Vite in package.json' : 'React in package.json'
}

/** A broken package.json names none. */
function packagesOf(text: string): ReadonlySet<string> {
  try {
    const value = JSON.parse(text) as Readonly<Record<string, unknown>> | null
    const groups = [value?.['dependencies'], value?.['devDependencies']]
    return new Set(groups.flatMap((group) => Object.keys(group ?? {})))
  } catch {
    return new Set()
  }
}
