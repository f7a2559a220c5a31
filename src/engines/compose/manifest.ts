import type { Instance } from '../../core/project.js'
import type { Docker } from './docker.js'
import { LABEL } from './labels.js'
import type { Resolved } from './resolve.js'

export async function readManifest(
  docker: Docker,
  _resolved: Resolved | null,
  instance: Instance,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>> | null> {
  const image = await docker.get<{ Config?: { Labels?: Record<string, string> } }>(
    `/images/${instance.imageId}/json`,
    {},
    signal,
  )
  const text = image.Config?.Labels?.[LABEL.manifest]
  return text === undefined ? null : (JSON.parse(text) as Record<string, string>)
}
