import { relative } from 'node:path'
import { formatPosition } from '../../core/error.js'
import type { Project, Service } from '../../core/project.js'
import type { CommandContext } from '../commands.js'
import { print, printJson } from '../io.js'
import { createEngine } from '../engine.js'
import { openStack } from '../stack.js'

/** `devstack config`: the resolved Project, and where each service is written. */
export async function config(
  { io, globals }: CommandContext,
  options: { readonly json?: boolean },
): Promise<number> {
  const stack = await openStack({ io, globals })
  const engine = await createEngine(stack, io.env)
  const request = { services: [], profiles: [], freePorts: false, purpose: 'look' } as const
  const { project } = await engine.resolve(request, () => undefined, AbortSignal.timeout(60_000))
  if (options.json === true) {
    printJson(io, { schema: 'devstack.project/1', ...project })
    return 0
  }
  for (const line of describe(project)) print(io, line)
  return 0
}

function describe(project: Project): readonly string[] {
  const files = project.files.map((file) => relative(project.folder, file))
  return [
    `${project.name}  ${project.engine}  ${project.folder}`,
    `files: ${files.join(', ')}`,
    ...Object.values(project.services).flatMap((service) => [
      '',
      ...describeService(service, project.folder),
    ]),
  ]
}

function describeService(service: Service, folder: string): readonly string[] {
  const { name, at, image, build, dependsOn, ports, watch } = service
  const place = at === null ? '' : `  (${formatPosition({ ...at, file: relative(folder, at.file) })})`
  const needs = dependsOn.map(
    ({ service: other, condition }) => `${other} (${condition.replace('service_', '')})`,
  )
  return [
    `${name}${place}`,
    `  image    ${image}`,
    ...(build === null
      ? []
      : [
          `  build    ${relative(folder, build.context)}${build.target === null ? '' : ` target ${build.target}`}`,
        ]),
    ...(needs.length === 0 ? [] : [`  needs    ${needs.join(', ')}`]),
    ...ports.map(
      ({ hostIp, published, target }) =>
        `  port     ${hostIp}:${published === null ? '(any)' : String(published)} -> ${String(target)}`,
    ),
    ...watch.map(
      ({ action, path, target }) =>
        `  watch    ${action} ${relative(folder, path)}${target === null ? '' : ` -> ${target}`}`,
    ),
  ]
}
