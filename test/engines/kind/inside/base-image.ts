import { makeComposeProject } from '../../../contract/compose-project.js'
import { docker } from './docker-program.js'

/** The image of the agents: a Debian of our own, made where it is not there. */
export async function baseImage(): Promise<string> {
  const [there = ''] = (
    await docker('images', 'devstack/base', '--format', '{{.Repository}}:{{.Tag}}')
  ).split('\n')
  return there === '' ? await makeBase() : there
}

async function makeBase(): Promise<string> {
  const project = await makeComposeProject({
    'compose.yaml': 'services:\n  app:\n    image: devstack/base:local\n',
  })
  const signal = AbortSignal.timeout(600_000)
  try {
    const request = { services: [], profiles: [], freePorts: false, purpose: 'up' } as const
    const { images } = await project.engine.resolve(request, () => undefined, signal)
    const context = { signal, progress: () => undefined, output: () => undefined, emit: () => undefined }
    const about = {
      id: 'by hand',
      label: 'by hand',
      cause: 'the test asks',
      dependsOn: [],
      services: ['app'],
    }
    for (const choice of images)
      if (choice.action === 'build')
        await project.engine.apply({ ...about, kind: 'buildImage', choice }, context)
    return images[0]?.ref ?? ''
  } finally {
    await project.dispose()
  }
}
