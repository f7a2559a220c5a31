/** Labels that Compose puts on what it creates, and ours. */
export const LABEL = {
  project: 'com.docker.compose.project',
  service: 'com.docker.compose.service',
  number: 'com.docker.compose.container-number',
  configHash: 'com.docker.compose.config-hash',
  oneOff: 'com.docker.compose.oneoff',
  volume: 'com.docker.compose.volume',
  devstackProject: 'dev.devstack.project',
  worktree: 'dev.devstack.worktree',
  build: 'dev.devstack.build',
  manifest: 'dev.devstack.manifest',
  /** Of a short-lived container: the id of the one that it works on. */
  helper: 'dev.devstack.helper',
} as const

/** `docker compose run` containers are somebody's own and no instances of a service. */
export function isInstance(labels: Readonly<Record<string, string>>): boolean {
  return labels[LABEL.service] !== undefined && labels[LABEL.oneOff] !== 'True'
}

/** A container that Compose made to replace another and that a killed run left behind: `0a1b2c3d4e5f_shop-api-1`. */
export function isLeftOver(name: string): boolean {
  return /^[0-9a-f]{12}_/.test(name)
}
