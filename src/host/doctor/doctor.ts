import { run } from '../bootstrap/command.js'
import { engineEndpoint, pingEngine } from '../bootstrap/endpoint.js'
import { presentComponents } from '../bootstrap/versions.js'
import type { Check, CheckDefinition, DoctorContext, DoctorOptions, EngineInfo } from './check.js'
import { clusterChecks } from './cluster-checks.js'
import { engineChecks, probeCheck } from './engine-checks.js'
import { machineChecks } from './machine-checks.js'
import { networkChecks } from './network-checks.js'
import { stackChecks } from './stack-checks.js'

/** `devstack.doctor/1`. */
export interface DoctorReport {
  readonly schema: 'devstack.doctor/1'
  readonly version: string
  readonly checks: readonly Check[]
  readonly summary: { readonly pass: number; readonly warning: number; readonly fail: number }
}

/** Every check, cheap ones first. */
export const allChecks: readonly CheckDefinition[] = [
  ...machineChecks,
  ...engineChecks,
  ...clusterChecks,
  ...networkChecks,
  ...stackChecks,
  probeCheck,
]

/** Looks at the machine. A check that crashes is shown as one that could not be judged, and stops nothing. */
export async function runDoctor(
  options: DoctorOptions,
  definitions: readonly CheckDefinition[] = allChecks,
): Promise<DoctorReport> {
  const context = createContext(options)
  const checks: Check[] = []
  for (const definition of definitions) {
    if (options.blockingOnly === true && definition.blocking !== true) continue
    options.signal.throwIfAborted()
    const check = await look(definition, context)
    if (check === null) continue
    checks.push(check)
    options.onCheck?.(check)
  }
  const count = (status: Check['status']) => checks.filter((check) => check.status === status).length
  const summary = { pass: count('pass'), warning: count('warning'), fail: count('fail') }
  return { schema: 'devstack.doctor/1', version: options.version, checks, summary }
}

async function look(definition: CheckDefinition, context: DoctorContext): Promise<Check | null> {
  const { category, name } = definition
  try {
    const finding = await definition.look(context)
    return finding === null ? null : { category, name, ...finding }
  } catch (error) {
    context.signal.throwIfAborted()
    const { message, stack = message } = error instanceof Error ? error : new Error(String(error))
    return {
      category,
      name,
      status: 'warning',
      message: `could not be judged: ${message}`,
      details: stack.split('\n'),
    }
  }
}

function createContext(options: DoctorOptions): DoctorContext {
  const { env, signal, probeRegistry } = options
  const endpoint = once(() => engineEndpoint(env, signal))
  const answer = once(async () => pingEngine(await endpoint(), env, signal))
  const components = once(async () => presentComponents(await answer(), env, signal))
  const info = once(async (): Promise<EngineInfo | null> => {
    if ((await answer()).state !== 'running') return null
    const argv = ['docker', '--host', (await endpoint()).host, 'info', '--format', '{{json .}}']
    const { stdout } = await run(argv, { env, signal, timeoutMs: 15_000 })
    return stdout.startsWith('{') ? (JSON.parse(stdout) as EngineInfo) : null
  })
  const registry = once(async () =>
    probeRegistry === null || (await answer()).state !== 'running' ? null : probeRegistry(signal),
  )
  return { ...options, endpoint, answer, components, info, registry }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null
  return () => (made ??= make())
}
