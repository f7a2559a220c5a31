import { resolve } from 'node:path'
import type { Instance, Project, Service } from '../../core/project.js'
import { isMounted, targetOf } from '../../core/update.js'
import { decodeManifest } from '../images/manifest.js'
import type { Manifest } from '../images/manifest.js'
import type { Docker } from './docker.js'
import { LABEL } from './labels.js'
import { deliveringRule } from './watched.js'

/** The Manifest of an instance's image, with the paths that its files have in the container. */
export async function readManifest(
  docker: Docker,
  project: Project | null,
  instance: Instance,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>> | null> {
  const service = project?.services[instance.service]
  const path = `/images/${encodeURIComponent(instance.imageId)}/json`
  const image = await docker.get<{ readonly Config?: { readonly Labels?: Record<string, string> | null } }>(
    path,
    {},
    signal,
  )
  const label = image.Config?.Labels?.[LABEL.manifest]
  const manifest = label === undefined ? null : decodeManifest(label)
  return service === undefined || manifest === null ? null : toTargets(service, manifest)
}

/** Only files that a delivering rule covers, where no mount hides what the image has. */
function toTargets(service: Service, manifest: Manifest): Readonly<Record<string, string>> {
  const context = service.build?.context ?? '/'
  const delivering = deliveringRule(service)
  return Object.fromEntries(
    Object.entries(manifest).flatMap(([path, hash]) => {
      const source = resolve(context, path)
      const rule = delivering(source)
      const target = rule === null ? null : targetOf(rule, source)
      if (target === null || isMounted(service, target)) return []
      return [[target, hash]]
    }),
  )
}
