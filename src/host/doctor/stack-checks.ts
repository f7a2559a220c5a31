import { which } from '../bootstrap/command.js'
import type { CheckDefinition, DoctorContext, Finding } from './check.js'
import { fail, pass, remedy, warning } from './check.js'
import { formatOwner, portOwner } from './ports.js'

/** What a stack needs: images and ports. */
export const stackChecks: readonly CheckDefinition[] = [
  {
    category: 'images',
    name: 'registry',
    look: async ({ registry }) => {
      const found = await registry()
      if (found === null) return null
      if (found.answers) return pass(`the image registry ${found.host} answers`)
      const finding = warning(
        `the image registry ${found.host} does not answer: images are made here from Debian, PyPI, npm and Maven Central, and Elasticsearch is the reduced build`,
        remedy('nothing needs mending where that is meant; else see proxy, names and certificates'),
      )
      return { ...finding, details: [found.why] }
    },
  },
  {
    category: 'images',
    name: 'image tools',
    look: async ({ env, registry }) => {
      const found = await registry()
      if (found === null || found.answers) return null
      if ((await which('mmdebstrap', env)) !== null) return pass('mmdebstrap makes the base of the images')
      return fail(
        'images are made here, which needs mmdebstrap',
        remedy('devstack brings it', ['devstack', 'bootstrap']),
      )
    },
  },
  { category: 'ports', name: 'published ports', look: judgePorts },
]

async function judgePorts({ ports, stackIsUp, env, signal }: DoctorContext): Promise<Finding | null> {
  if (ports.length === 0) return null
  if (stackIsUp) return pass('not judged: your own stack is up')
  const taken: string[] = []
  for (const { service, hostIp, port } of ports) {
    const owner = await portOwner(port, { env, signal, hostIp })
    if (owner !== null) taken.push(`port ${String(port)} (${service}) is taken by ${formatOwner(owner)}`)
  }
  if (taken.length === 0) return pass(`free: ${ports.map(({ port }) => String(port)).join(', ')}`)
  return fail(
    taken.join('; '),
    remedy('end that program, or take free ports: devstack up --free-ports', [
      'devstack',
      'up',
      '--free-ports',
    ]),
  )
}
