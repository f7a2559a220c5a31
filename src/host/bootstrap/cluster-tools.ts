import { DevstackError } from '../../core/error.js'
import { install, installArgv, ownApt, privateApt } from './apt.js'
import type { BootstrapStep, StepContext } from './bootstrap.js'
import { run, which } from './command.js'
import type { PackageSource } from './machine.js'
import { packageSource } from './machine.js'
import { nowAndThen, requireRoot } from './steps.js'
import { atLeast } from './versions.js'

/** A program that a stack in a cluster needs. */
interface ClusterTool {
  readonly program: 'kind' | 'kubectl'
  /** Debian's name of its package. */
  readonly package: string
  /** From here on it does what is asked of it: kind makes Kubernetes 1.34 nodes, kubectl has kustomize 5. */
  readonly least: string
  readonly version: readonly string[]
  readonly found: RegExp
}

const TOOLS: readonly ClusterTool[] = [
  { program: 'kind', package: 'kind', least: '0.27', version: ['version'], found: /\bv?(\d+\.\d+\.\d+)/ },
  {
    program: 'kubectl',
    package: 'kubernetes-client',
    least: '1.27',
    version: ['version', '--client', '--output=json'],
    found: /"gitVersion":\s*"v?(\d+\.\d+\.\d+)/,
  },
]

interface ToolLack {
  readonly tool: ClusterTool
  readonly reason: string
  /** Where the old one is. */
  readonly path: string | null
}

/** kind and kubectl, from the system's own packages as the engine's are. A kubectl of any newer version does: it only renders. */
export const clusterToolsStep: BootstrapStep = {
  name: 'cluster tools',
  satisfied: 'kind and kubectl are there',
  check: async (context) => {
    const found = await Promise.all(TOOLS.map((tool) => look(tool, context)))
    const lacks = found.filter((lack) => lack !== null)
    if (lacks.length === 0) return null
    refuseShadowed(lacks)
    const what = lacks.map(({ reason }) => reason).join('; ')
    const source = packageSource(context.machine)
    if (source.kind === 'none') {
      throw new DevstackError('ENGINE_NOT_INSTALLED', what, { cause: source.reason, hint: BY_HAND })
    }
    return installation(context, source, lacks, what)
  },
}

const BY_HAND = `install kind ${TOOLS[0]?.least ?? ''} and kubectl ${TOOLS[1]?.least ?? ''} or newer yourself`

async function installation(
  context: StepContext,
  source: Exclude<PackageSource, { kind: 'none' }>,
  lacks: readonly ToolLack[],
  what: string,
): ReturnType<BootstrapStep['check']> {
  const packages = lacks.map(({ tool }) => tool.package)
  const from = source.kind === 'newer' ? ` from Debian ${source.release}` : ''
  const byHand =
    source.kind === 'newer'
      ? BY_HAND
      : `sudo apt-get update && sudo ${installArgv(ownApt, packages).join(' ')}`
  await requireRoot(context, what, byHand)
  return {
    doing: `installing ${packages.join(' ')}${from}`,
    consent: { question: `${what}: devstack installs ${packages.join(', ')}${from}`, byHand },
    apply: async ({ machine, env, signal, tell }) => {
      const apt = source.kind === 'newer' ? await privateApt(machine, source.release, env, signal) : ownApt
      const newer = source.kind === 'newer' ? '13' : null
      try {
        const options = { env, signal, onLine: nowAndThen(tell), byHand: BY_HAND }
        await install(machine, apt, packages, newer, options)
      } finally {
        await apt.remove()
      }
    },
  }
}

/** What is wrong with kind and kubectl, a sentence each; none where both will do. */
export async function clusterToolLacks(
  context: Pick<StepContext, 'env' | 'signal'>,
): Promise<readonly string[]> {
  const found = await Promise.all(TOOLS.map((tool) => look(tool, context)))
  return found.flatMap((lack) => (lack === null ? [] : [lack.reason]))
}

/** What is wrong with a program, or null. */
async function look(
  tool: ClusterTool,
  { env, signal }: Pick<StepContext, 'env' | 'signal'>,
): Promise<ToolLack | null> {
  const path = await which(tool.program, env)
  if (path === null) return { tool, reason: `${tool.program} is not installed`, path: null }
  const { stdout } = await run([path, ...tool.version], { env, signal, timeoutMs: 20_000 })
  const version = tool.found.exec(stdout)?.[1]
  if (version !== undefined && atLeast(version, tool.least)) return null
  const reason =
    version === undefined
      ? `${path} does not say its version`
      : `${tool.program} ${version} (${path}) is older than ${tool.least}`
  return { tool, reason, path }
}

/** One that did not come from a package stays first on PATH whatever is installed. */
function refuseShadowed(lacks: readonly ToolLack[]): void {
  const shadowed = lacks.find(({ path }) => path !== null && !path.startsWith('/usr/bin/'))
  if (shadowed === undefined) return
  throw new DevstackError('ENGINE_TOO_OLD', shadowed.reason, {
    cause: 'it comes first on the PATH and did not come from a system package',
    hint: `take ${shadowed.path ?? ''} away, or put /usr/bin before it on the PATH`,
  })
}
