import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { createComposeEngine } from '../../src/engines/compose/engine.js'
import type { ComposeEngineOptions } from '../../src/engines/compose/options.js'
import type { Engine } from '../../src/orchestrator/ports.js'
import { ENDPOINT } from './compose-there.js'

const run = promisify(execFile)
const env = { ...process.env, DOCKER_HOST: ENDPOINT }

/** A compose project in a folder of its own, and its engine. Images come from the project's own recipes: no registry. */
export interface ComposeProject {
  readonly name: string
  readonly folder: string
  readonly engine: Engine
  /** Another engine object over the same project. */
  readonly open: (options?: Partial<ComposeEngineOptions>) => Engine
  readonly docker: (...args: readonly string[]) => Promise<string>
  readonly lines: (...args: readonly string[]) => Promise<readonly string[]>
  /** Id of the service's container, running or not. */
  readonly containerOf: (service: string) => Promise<string>
  /** Names of containers, networks and volumes that are there. */
  readonly things: () => Promise<readonly string[]>
  readonly dispose: () => Promise<void>
}

/** `files`: path in the folder -> text; `compose.yaml` is one of them. */
export async function makeComposeProject(files: Readonly<Record<string, string>>): Promise<ComposeProject> {
  const name = `dstest-${randomBytes(4).toString('hex')}`
  const root = await mkdtemp(join(tmpdir(), 'devstack-compose-'))
  const folder = join(root, 'project')
  const write = async (file: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), text)
  }
  for (const [file, text] of Object.entries(files)) await write(file, text)
  const open = (options: Partial<ComposeEngineOptions> = {}): Engine =>
    createComposeEngine({
      folder,
      files: [join(folder, 'compose.yaml')],
      projectName: name,
      primary: true,
      stateFolder: join(root, 'state'),
      endpoint: ENDPOINT,
      env,
      images: { source: 'local', recipesFolder: join(import.meta.dirname, '../../compose/images') },
      portOwner: () => Promise.resolve(null),
      version: '0.0.0-test',
      ...options,
    })
  const docker = async (...args: readonly string[]): Promise<string> =>
    (await run('docker', [...args], { env })).stdout.trim()
  const lines = async (...args: readonly string[]): Promise<readonly string[]> =>
    (await docker(...args)).split('\n').filter((line) => line !== '')
  const label = `label=com.docker.compose.project=${name}`
  return {
    name,
    folder,
    engine: open(),
    open,
    docker,
    lines,
    containerOf: async (service) => {
      const filter = ['--filter', label, '--filter', `label=com.docker.compose.service=${service}`]
      const [id = ''] = await lines('ps', '--all', '--quiet', '--no-trunc', ...filter)
      return id
    },
    things: async () => [
      ...(await lines('ps', '--all', '--filter', label, '--format', '{{.Names}}')),
      ...(await lines('network', 'ls', '--filter', label, '--format', '{{.Name}}')),
      ...(await lines('volume', 'ls', '--filter', label, '--format', '{{.Name}}')),
    ],
    dispose: async () => {
      await docker('compose', '--project-name', name, 'down', '--volumes', '--remove-orphans').catch(() => '')
      const images = await lines('images', '--quiet', '--filter', `reference=${name}-*`)
      if (images.length > 0) await docker('rmi', '--force', ...new Set(images))
      await rm(root, { recursive: true, force: true })
    },
  }
}
