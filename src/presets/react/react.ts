import type { WatchEntry } from '../../core/watch.js'
import { rebuildOn } from '../preset.js'
import type { Preset, SourcePlace, SourceView } from '../preset.js'

const DEPENDENCIES = [
  'package.json',
  'package-lock.json',
  'npm-shrinkwrap.json',
  'pnpm-lock.yaml',
  'yarn.lock',
  'bun.lock',
  'Dockerfile',
]

const CONFIGS = ['vite.config.ts', 'vite.config.js', 'vite.config.mjs', 'vite.config.mts']

/** A React front end, as Vite serves it. */
export const react: Preset = {
  name: 'react',
  detect,
  rules: (place) => [
    {
      action: 'sync',
      path: place.folder,
      target: place.target,
      ignore: ['node_modules/', 'dist/', 'build/', 'coverage/', '.git/', ...DEPENDENCIES, ...CONFIGS],
    },
    ...configs(place),
    ...rebuildOn(place, DEPENDENCIES),
  ],
}

function configs({ view, folder, target }: SourcePlace): readonly WatchEntry[] {
  return CONFIGS.filter((name) => view.files.includes(name)).map((name) => ({
    action: 'sync+restart',
    path: `${folder}/${name}`,
    target: `${target}/${name}`,
  }))
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
