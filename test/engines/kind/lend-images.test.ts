import { expect, it } from 'vitest'
import { projectFromKubernetes } from '../../../src/core/kubernetes.js'
import type { ManifestObject } from '../../../src/core/kubernetes.js'
import type { Project, Service } from '../../../src/core/project.js'
import { writtenContainers } from '../../../src/engines/kind/desired.js'
import { lendImages } from '../../../src/engines/kind/lend-images.js'
import { service as aService } from '../../core/builders.js'

const built = (name: string, image: string): Service => ({
  ...aService(name),
  image,
  build: { context: '/shop', dockerfile: '/shop/Dockerfile', target: null, args: {}, hash: name },
})

// Another worktree: Compose calls its images by its own name.
const compose: Project = {
  name: 'shop-2',
  engine: 'compose',
  folder: '/shop',
  files: [],
  services: Object.fromEntries(
    [built('api', 'shop-2-api'), built('migrate', 'shop-2-migrate'), aService('db')].map((one) => [
      one.name,
      one,
    ]),
  ),
}

function workload(kind: string, name: string, spec: object): ManifestObject {
  const apiVersion = kind === 'Job' ? 'batch/v1' : 'apps/v1'
  return { apiVersion, kind, metadata: { name }, spec: { template: { spec } } }
}

it('a container runs what Compose builds for the service of its name, and init containers what they share with others', () => {
  const objects = [
    workload('Job', 'migrate', { containers: [{ name: 'migrate', image: 'shop-api' }] }),
    workload('Deployment', 'shop', {
      initContainers: [{ name: 'wait', image: 'shop-api' }],
      containers: [
        { name: 'api', image: 'shop-api' },
        { name: 'db', image: 'postgres:17' },
      ],
    }),
  ]
  const { workloads } = projectFromKubernetes(objects, {
    name: 'shop',
    engine: 'kind',
    folder: '/shop',
    files: [],
    annotations: { dependsOn: 'd', localPort: 'l' },
  })
  const lent = lendImages(objects, workloads, compose)
  expect(writtenContainers(lent).map(({ container, image }) => `${container} ${image}`)).toEqual([
    'migrate shop-2-migrate',
    'api shop-2-api',
    'db postgres:17',
    'wait shop-2-api',
  ])
  // What was read stays as it was.
  expect(writtenContainers(objects).map(({ image }) => image)).toEqual([
    'shop-api',
    'shop-api',
    'postgres:17',
    'shop-api',
  ])
})
