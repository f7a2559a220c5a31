import type { Environment } from './command.js'
import { run, which } from './command.js'
import type { EngineAnswer } from './endpoint.js'
import type { Component } from './machine.js'

/** Least versions: `start_interval` needs engine 25, `!override` Compose 2.24; an older client does not find the plugins. */
export const leastVersions: Readonly<Record<Component, string>> = {
  engine: '25.0',
  client: '23.0',
  compose: '2.24',
  buildx: '0.11',
}

/** How people call the parts. */
export const componentNames: Readonly<Record<Component, string>> = {
  engine: 'Docker Engine',
  client: 'the docker client',
  compose: 'Docker Compose',
  buildx: 'buildx',
}

/** Whether a part is there: absent, too old and fine are three things. */
export type Presence =
  | { readonly state: 'absent' }
  | { readonly state: 'tooOld'; readonly version: string; readonly path: string | null }
  | { readonly state: 'present'; readonly version: string; readonly path: string | null }

/** Compares `major.minor` numerically; what follows is left out. */
export function atLeast(version: string, least: string): boolean {
  const [major = 0, minor = 0] = numbers(version)
  const [leastMajor = 0, leastMinor = 0] = numbers(least)
  return major > leastMajor || (major === leastMajor && minor >= leastMinor)
}

function numbers(version: string): number[] {
  return (/\d+(?:\.\d+)*/.exec(version)?.[0] ?? '').split('.').map(Number)
}

/** Finds out which parts are there. The engine that answers counts, else the program that could be started. */
export async function presentComponents(
  answer: EngineAnswer,
  env: Environment,
  signal?: AbortSignal,
): Promise<Readonly<Record<Component, Presence>>> {
  const ask = (component: Component, argv: readonly string[]) => askVersion(component, argv, env, signal)
  const [engine, client, compose, buildx] = await Promise.all([
    answer.state === 'running'
      ? judge('engine', answer.version, null)
      : ask('engine', ['dockerd', '--version']),
    ask('client', ['docker', '--version']),
    ask('compose', ['docker', 'compose', 'version', '--short']),
    ask('buildx', ['docker', 'buildx', 'version']),
  ])
  return { engine, client, compose, buildx }
}

async function askVersion(
  component: Component,
  argv: readonly string[],
  env: Environment,
  signal?: AbortSignal,
): Promise<Presence> {
  const [program = '', ...words] = argv
  const path = await which(program, env)
  if (path === null) return { state: 'absent' }
  const result = await run([path, ...words], { env, signal, timeoutMs: 20_000 })
  // `docker compose` without the plugin prints docker's own help, which has no version.
  const version = /(?:^|\sv?)(\d+\.\d+[\w.+~-]*)/m.exec(result.stdout)?.[1]
  return result.ok && version !== undefined ? judge(component, version, path) : { state: 'absent' }
}

function judge(component: Component, version: string, path: string | null): Presence {
  return { state: atLeast(version, leastVersions[component]) ? 'present' : 'tooOld', version, path }
}

/** Why a part is not good enough, or null. */
export function lack(component: Component, presence: Presence): string | null {
  switch (presence.state) {
    case 'present':
      return null
    case 'absent':
      return `${componentNames[component]} is not installed`
    case 'tooOld': {
      const where = presence.path === null ? '' : ` (${presence.path})`
      return `${componentNames[component]} ${presence.version}${where} is older than ${leastVersions[component]}`
    }
  }
}
