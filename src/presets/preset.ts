import { resolvePath, type WatchEntry } from '../core/watch.js'

export type PresetName = 'flask' | 'react' | 'nginx'

/** A service's source folder as the caller looked at it. */
export interface SourceView {
  /** Paths in the folder, with `/`, as far as the caller looked. */
  readonly files: readonly string[]
  /** The texts of the files that tell what it is: see {@link TELLING_FILES}. */
  readonly texts: Readonly<Record<string, string>>
  /** The service's image, where it has one of its own. */
  readonly image: string | null
}

/** Where a service's sources are, on both sides. */
export interface SourcePlace {
  readonly view: SourceView
  /** Absolute path of the folder on the host. */
  readonly folder: string
  /** Absolute path of the folder's content in the container. */
  readonly target: string
}

/** How one kind of service is recognised, and what is watched where its Compose file does not say. */
export interface Preset {
  readonly name: PresetName
  /** Why it is one (`Flask in requirements.txt`), or null. */
  readonly detect: (view: SourceView) => string | null
  /** In the words of `develop.watch`, paths absolute. */
  readonly rules: (place: SourcePlace) => readonly WatchEntry[]
}

/** The files whose text a preset may want. */
export const TELLING_FILES: readonly string[] = [
  'requirements.txt',
  'requirements.in',
  'pyproject.toml',
  'Pipfile',
  'package.json',
  'nginx.conf',
  'default.conf',
]

/** Rebuild on each of `names` that is there. */
export function rebuildOn(place: SourcePlace, names: readonly string[]): readonly WatchEntry[] {
  return names
    .filter((name) => place.view.files.includes(name))
    .map((name) => ({ action: 'rebuild', path: `${place.folder}/${name}` }))
}

/** Deliver each of `names` that is there, then run a command in the folder of the sources, as the container's user. */
export function execOn(
  { view, folder, target }: SourcePlace,
  names: readonly string[],
  command: readonly string[],
): readonly WatchEntry[] {
  return names
    .filter((name) => view.files.includes(name))
    .map((name) => ({
      action: 'sync+exec',
      path: `${folder}/${name}`,
      target: resolvePath(target, name),
      exec: { command, working_dir: target },
    }))
}
