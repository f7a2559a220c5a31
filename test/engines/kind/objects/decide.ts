import type { ManifestObject } from '../../../../src/core/kubernetes-objects.js'
import { projectFromKubernetes } from '../../../../src/core/kubernetes.js'
import { readYaml } from '../../../../src/core/yaml.js'
import type { Decisions, ImageDecision } from '../../../../src/engines/kind/objects/decisions.js'
import { KUBE_ANNOTATION } from '../../../../src/engines/kind/pods.js'

/** The objects of a text of several documents. */
export const parse = (text: string) => readYaml(text, 'm.yaml').documents as readonly ManifestObject[]

const workloadsOf = (objects: readonly ManifestObject[]) =>
  projectFromKubernetes(objects, {
    name: 'shop',
    engine: 'kind',
    folder: '/shop',
    files: [],
    annotations: KUBE_ANNOTATION,
  }).workloads

/** A decision about an image, which has a command of its own. */
export const image = (ref: string, more: Partial<ImageDecision> = {}): ImageDecision => ({
  ref,
  pullPolicy: 'Never',
  id: `sha256:${ref}`,
  buildHash: null,
  config: { entrypoint: ['/entry'], command: ['serve', '$$', '$(A)'] },
  ...more,
})

/** Decisions that change as little as possible. */
export const decide = (objects: readonly ManifestObject[], more: Partial<Decisions> = {}): Decisions => ({
  project: 'shop-x',
  namespace: 'devstack-shop-x',
  worktree: '/work/shop-x',
  workloads: workloadsOf(objects),
  images: { 'shop-api': image('shop-api:ds-1', { buildHash: 'b' }) },
  commands: {},
  watched: new Set(),
  gate: () => false,
  ...more,
})
