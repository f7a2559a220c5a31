import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import type { Operation } from '../../../src/core/plan.js'
import type { Instance } from '../../../src/core/project.js'
import type { ApplyContext, Delivery, FileChange, InsideRequest } from '../../../src/orchestrator/ports.js'
import { makeComposeProject } from '../../contract/compose-project.js'
import type { ComposeProject } from '../../contract/compose-project.js'

const projects: ComposeProject[] = []

afterEach(async () => {
  for (const project of projects.splice(0)) await project.dispose()
})

export const signal = (): AbortSignal => AbortSignal.timeout(90_000)
export const run = (): ApplyContext => ({
  signal: signal(),
  progress: () => undefined,
  output: () => undefined,
  emit: () => undefined,
})
const about = { id: 'by hand', label: 'by hand', cause: 'the test asks', dependsOn: [] }

/** A container that runs, and what a test does to its files. */
export interface Subject extends ComposeProject {
  readonly instance: () => Promise<Instance>
  readonly deliver: (...changes: readonly FileChange[]) => Promise<Delivery>
  /** A file on the host. */
  readonly write: (target: string, text: string, mode?: number) => Promise<FileChange>
  /** What a command as root in the container prints. */
  readonly inside: (...argv: readonly string[]) => Promise<string>
  readonly apply: (operation: Operation) => Promise<void>
}

export const starting: Operation = { ...about, kind: 'start', service: 'app', services: ['app'] }
export const stopping: Operation = { ...about, kind: 'stop', services: ['app'], force: true }
export const plainly = (argv: readonly string[]): InsideRequest => ({
  argv,
  user: null,
  workdir: null,
  env: {},
})

/** @param service lines of the service's own */
export async function begin(service: string, files: Readonly<Record<string, string>> = {}): Promise<Subject> {
  const compose = `services:\n  app:\n${service
    .trim()
    .split('\n')
    .map((line) => `    ${line.trim()}\n`)
    .join('')}`
  const project = await makeComposeProject({ 'compose.yaml': compose, ...files })
  projects.push(project)
  const { engine, folder, docker, containerOf } = project
  const request = { services: [], profiles: [], freePorts: false, purpose: 'up' } as const
  const { images, project: resolved } = await engine.resolve(request, () => undefined, signal())
  for (const choice of images) {
    if (choice.action === 'build')
      await engine.apply({ ...about, kind: 'buildImage', choice, services: choice.services }, run())
  }
  if (resolved.services['app']?.build != null)
    await engine.apply({ ...about, kind: 'buildService', service: 'app', services: ['app'] }, run())
  await engine.apply({ ...about, kind: 'create', services: ['app'] }, run())
  await engine.apply(starting, run())
  const instance = async (): Promise<Instance> => {
    const [found] = (await engine.observe(signal())).instances
    if (found === undefined) throw new Error('no instance')
    return found
  }
  return {
    ...project,
    instance,
    deliver: async (...changes) => await engine.deliver(await instance(), changes, signal()),
    write: async (target, text, mode = 0o644) => {
      const source = join(folder, randomUUID())
      await writeFile(source, text)
      return { type: 'write', source, target, mode }
    },
    inside: async (...argv) => await docker('exec', '--user', '0', await containerOf('app'), ...argv),
    apply: (operation) => engine.apply(operation, run()),
  }
}

export const SLEEPER = `
image: devstack/base:local
init: true
command: [sleep, infinity]
`
