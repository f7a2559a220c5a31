import type { WatchEntry } from '../core/watch.js'
import { flask } from './flask/flask.js'
import { nginx } from './nginx/nginx.js'
import type { Preset, PresetName, SourcePlace, SourceView } from './preset.js'
import { react } from './react/react.js'

/** In the order in which they are tried: an nginx that serves a React build is a React project. */
const PRESETS: readonly Preset[] = [flask, react, nginx]

export interface DetectedPreset {
  readonly preset: PresetName
  /** Why: `Flask in requirements.txt`. */
  readonly reason: string
}

/** The preset that fits a service's source folder, or null. */
export function detectPreset(view: SourceView): DetectedPreset | null {
  for (const { name, detect } of PRESETS) {
    const reason = detect(view)
    if (reason !== null) return { preset: name, reason }
  }
  return null
}

/** The watch rules that a preset supplies; for a service whose Compose file has none. Paths are absolute. */
export function presetRules(name: PresetName, place: SourcePlace): readonly WatchEntry[] {
  return PRESETS.filter((preset) => preset.name === name).flatMap((preset) => preset.rules(place))
}
