import type { LivePreset } from '../orchestrator/ports.js'
import { flaskLive } from './flask/live.js'
import { nginxLive } from './nginx/live.js'
import { reactLive } from './react/live.js'

/** devstack's own files for containers, as they are shipped. */
export interface SupportFiles {
  /** Absolute path of the folder that holds `flask/reloader` and `react`. */
  readonly folder: string
}

/** What devstack knows of a kind of service, by the name of its preset; null where it knows nothing. */
export function livePreset(name: string, files: SupportFiles): LivePreset | null {
  switch (name) {
    case 'flask':
      return flaskLive(`${files.folder}/flask/reloader`)
    case 'react':
      return reactLive(`${files.folder}/react`)
    case 'nginx':
      return nginxLive
    default:
      return null
  }
}
