import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { DevstackConfig } from '../core/config.js'
import type { SourcePosition } from '../core/error.js'
import { DevstackError } from '../core/error.js'
import type { Cluster } from '../engines/kind/kube-ports.js'
import { findProject } from '../host/project/find.js'
import { readPrivateFile, writePrivateFile } from '../host/project/state.js'
import type { CommandContext } from './commands.js'
import type { StackRef } from './stack.js'
import { withInterrupt } from './with-interrupt.js'

type Environment = Readonly<Record<string, string | undefined>>

/** The cluster of somebody else that a stack is to run in, as devstack.yaml names it. */
export interface KubernetesRef {
  readonly context: string
  readonly server: string
  /** With the user's name in it; of this worktree alone. */
  readonly namespace: string
  readonly registry: string
  /** The namespace as devstack.yaml writes it. */
  readonly pattern: string
}

const MOST = 63

/**
 * What the stack needs to know of the cluster.
 * @throws DevstackError CONFIG_INVALID where devstack.yaml does not name it
 */
export function kubernetesRef(
  config: DevstackConfig | null,
  stack: { readonly configFile: string | null; readonly name: string; readonly wanted: string },
  user: string,
): KubernetesRef {
  const named = config?.kubernetes
  if (named === undefined)
    throw new DevstackError('CONFIG_INVALID', 'nothing says which cluster the stack may run in', {
      cause: `${stack.configFile ?? 'devstack.yaml'} has no key kubernetes`,
      hint: 'kubernetes: { context: team-dev, server: https://10.0.0.5:6443, namespace: shop-{user}, registry: registry.team.example/shop }',
    })
  const { context, server, namespace, registry } = named
  // The first worktree has the name itself, the others what tells their names from it.
  const suffix = stack.name === stack.wanted ? '' : stack.name.slice(stack.wanted.length)
  return { context, server, namespace: namespaceFor(namespace, user, suffix), registry, pattern: namespace }
}

/** As DNS has it. @throws DevstackError CONFIG_INVALID where the user's name has nothing that DNS takes */
export function namespaceFor(pattern: string, user: string, suffix: string): string {
  const login = dnsName(user)
  if (login === '' && pattern.includes('{user}'))
    throw new DevstackError('CONFIG_INVALID', `the login name ${user} cannot be part of a namespace`, {
      cause: 'it has no letter or digit that DNS takes',
      hint: 'write kubernetes.namespace in devstack.yaml without {user}',
    })
  const end = dnsName(suffix) === '' ? '' : `-${dnsName(suffix)}`
  const name = pattern.replaceAll('{user}', login).slice(0, MOST - end.length)
  return `${name.replace(/-+$/, '')}${end}`
}

function dnsName(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
}

/** The login name. */
export function loginName(env: Environment): string {
  return env['LOGNAME'] ?? env['USER'] ?? userInfo().username
}

/** How the engine gets to the cluster. */
export interface TeamCluster {
  readonly ref: KubernetesRef
  readonly owner: string
  readonly open: (signal: AbortSignal) => Promise<Cluster>
}

/** Opens nothing yet. */
export async function teamCluster(stack: StackRef, env: Environment): Promise<TeamCluster> {
  const { kubernetes: ref } = stack
  if (ref === null) throw new Error(`${stack.name} names no cluster`)
  const owner = await ownerOf(stack, env)
  const request = {
    ...ref,
    kubeconfigs: await kubeconfigs(env),
    project: stack.name,
    owner,
    at: (key: string) => placeOf(stack, env, key),
  }
  return {
    ref,
    owner,
    open: async (signal) =>
      (await import('../engines/kind/team-cluster.js')).openTeamCluster(request, signal),
  }
}

/**
 * Sees that the cluster is the one that is meant and the namespace ours, before a session is started.
 * @throws DevstackError CONFIG_INVALID, STATE_FOREIGN, ENGINE_GONE
 */
export async function checkTeamCluster({ io }: CommandContext, stack: StackRef): Promise<void> {
  const { open } = await teamCluster(stack, io.env)
  await withInterrupt(async (signal) => {
    await open(signal)
  })
}

/**
 * A session works in the cluster that it was started for, also when devstack.yaml was changed since.
 * @throws DevstackError CONFIG_INVALID where it names another place by now
 */
export function refuseOtherPlace(
  { kubernetes: ref }: StackRef,
  config: DevstackConfig | null,
  at: ((path: readonly string[]) => SourcePosition) | null,
): void {
  const named = config?.kubernetes
  if (ref === null || named === undefined) return
  const before = { context: ref.context, server: ref.server, namespace: ref.pattern, registry: ref.registry }
  const keys = Object.keys(before) as readonly (keyof typeof before)[]
  const key = keys.find((one) => before[one] !== named[one])
  if (key === undefined) return
  throw new DevstackError(
    'CONFIG_INVALID',
    `devstack.yaml names another ${key} than the stack that is up has`,
    {
      cause: `${named[key]}, and it is up with ${before[key]}`,
      hint: 'devstack down removes it from there; then devstack up',
      at: at?.(['kubernetes', key]) ?? null,
    },
  )
}

const OWNER_FILE = 'owner'

/**
 * Who a namespace says that it was made by: `ada 9f86d081884c7d65`. Known to this worktree's private state alone: another user's, or a
 * folder of the same name on another machine, has another one.
 */
async function ownerOf({ stateFolder }: StackRef, env: Environment): Promise<string> {
  const file = join(stateFolder, OWNER_FILE)
  const kept = (await readPrivateFile(file))?.trim() ?? ''
  if (kept !== '') return kept
  const owner = `${loginName(env).replaceAll(/\s+/g, '-')} ${randomBytes(16).toString('hex')}`
  await writePrivateFile(file, `${owner}\n`)
  // Two at once: whoever wrote last is right for both.
  return (await readPrivateFile(file))?.trim() ?? owner
}

/** As kubectl looks for them: of several, those that are not there are passed over. */
async function kubeconfigs(env: Environment): Promise<readonly string[]> {
  const named = (env['KUBECONFIG'] ?? '').split(':').filter((file) => file !== '')
  if (named.length === 0) return [join(env['HOME'] ?? '/', '.kube', 'config')]
  const there = await Promise.all(named.map(async (file) => (await stat(file).catch(() => null)) !== null))
  const found = named.filter((_, index) => there[index])
  return found.length === 0 ? named : found
}

/** Where devstack.yaml says it: read only when something is wrong with it. */
async function placeOf(stack: StackRef, env: Environment, key: string): Promise<SourcePosition | null> {
  const found = await findProject({ cwd: stack.folder, config: stack.configFile, env, cache: null })
  return found.locateConfig?.(['kubernetes', key]) ?? null
}
