import { DevstackError } from '../../core/error.js'
import { install, installArgv, installedVendorPackages, ownApt, privateApt } from './apt.js'
import type { BootstrapStep, Lack, StepContext } from './bootstrap.js'
import { run, which } from './command.js'
import { pingEngine } from './endpoint.js'
import { startEngine } from './engine.js'
import type { Component, PackageSource } from './machine.js'
import { asRoot, inGroup, packageSource, rootNow } from './machine.js'
import { lack, leastVersions, presentComponents } from './versions.js'

/** The engine's parts, from the system's own packages. */
export const packagesStep: BootstrapStep = {
  name: 'packages',
  satisfied: 'Docker Engine, Compose and buildx are there',
  check: async (context) => {
    const { env, signal, endpoint } = context
    const answer = await pingEngine(endpoint, env, signal)
    const present = await presentComponents(answer, env, signal)
    const components = Object.keys(present) as Component[]
    const lacks = components.flatMap((component) => {
      const reason = lack(component, present[component])
      return reason === null ? [] : [{ component, reason, old: present[component].state === 'tooOld' }]
    })
    if (lacks.length === 0) return null
    const reasons = lacks.map(({ reason }) => reason)
    if (answer.state === 'silent' && endpoint.source !== 'default') throw elsewhere(context, answer.cause)
    await refuseVendor(context, reasons)
    refuseShadowed(lacks, present)
    const source = packageSource(context.machine)
    if (source.kind === 'none') {
      const code = lacks.some(({ old }) => old) ? 'ENGINE_TOO_OLD' : 'ENGINE_NOT_INSTALLED'
      throw new DevstackError(code, reasons.join('; '), { cause: source.reason, hint: source.hint })
    }
    const packages = [...new Set(lacks.flatMap(({ component }) => source.packages[component]))]
    return installation(context, source, packages, reasons)
  },
}

async function installation(
  context: StepContext,
  source: Exclude<PackageSource, { kind: 'none' }>,
  packages: readonly string[],
  reasons: readonly string[],
): Promise<Lack> {
  const from = source.kind === 'newer' ? ` from Debian ${source.release}` : ''
  const byHand =
    source.kind === 'newer'
      ? `install Docker Engine ${leastVersions.engine}, Compose ${leastVersions.compose} and buildx or newer`
      : `sudo apt-get update && sudo ${installArgv(ownApt, packages).join(' ')}`
  await requireRoot(context, reasons.join('; '), byHand)
  return {
    doing: `installing ${packages.join(' ')}${from}`,
    consent: { question: `${reasons.join('; ')}: devstack installs ${packages.join(', ')}${from}`, byHand },
    apply: async ({ machine, env, signal, tell }) => {
      const apt = source.kind === 'newer' ? await privateApt(machine, source.release, env, signal) : ownApt
      try {
        const onLine = nowAndThen(tell)
        await install(machine, apt, packages, source.kind === 'newer' ? '13' : null, { env, signal, onLine })
      } finally {
        await apt.remove()
      }
    },
  }
}

/** An engine that is chosen by DOCKER_HOST or a context is the user's: it is not replaced by another one. */
function elsewhere({ endpoint }: StepContext, cause: string): DevstackError {
  const chosen =
    endpoint.source === 'context' ? `the Docker context ${endpoint.context ?? ''}` : 'DOCKER_HOST'
  return new DevstackError('ENGINE_NOT_RUNNING', `the engine that ${chosen} names does not answer`, {
    cause,
    hint:
      endpoint.source === 'context'
        ? 'start it, or: docker context use default'
        : 'start it, or: unset DOCKER_HOST',
  })
}

async function refuseVendor(
  { env, signal, machine }: StepContext,
  reasons: readonly string[],
): Promise<void> {
  const vendor = machine.hasApt ? await installedVendorPackages(env, signal) : []
  if (vendor.length === 0) return
  throw new DevstackError('ENGINE_TOO_OLD', reasons.join('; '), {
    cause: `${vendor.join(', ')} of the engine's vendor is installed, which devstack never replaces`,
    hint: 'update it from its own repository: sudo apt-get update && sudo apt-get install docker-ce docker-ce-cli docker-compose-plugin docker-buildx-plugin',
  })
}

/** An old client outside the system's folders stays first on PATH whatever apt installs. */
function refuseShadowed(
  lacks: readonly { component: Component; reason: string }[],
  present: Awaited<ReturnType<typeof presentComponents>>,
): void {
  const client = present.client
  const reason = lacks.find(({ component }) => component === 'client')?.reason
  if (
    reason === undefined ||
    client.state !== 'tooOld' ||
    client.path === null ||
    client.path.startsWith('/usr/bin/')
  )
    return
  throw new DevstackError('ENGINE_TOO_OLD', reason, {
    cause: 'it comes first on the PATH and did not come from a system package',
    hint: `take ${client.path} away, or put /usr/bin before it on the PATH`,
  })
}

/** @throws DevstackError CONSENT_NEEDED where root is needed and cannot be had */
export async function requireRoot(context: StepContext, what: string, byHand: string): Promise<void> {
  const { machine, env, signal, isTty } = context
  if (await rootNow(machine, env, signal)) return
  if (machine.hasSudo && isTty) return
  throw new DevstackError('CONSENT_NEEDED', what, {
    cause: machine.hasSudo
      ? 'sudo wants a password, and there is no terminal to ask for it'
      : 'this needs root, and there is no sudo',
    hint: byHand,
  })
}

/** The engine runs and answers. */
export const engineStep: BootstrapStep = {
  name: 'engine',
  satisfied: 'the engine answers',
  check: async (context) => {
    const answer = await pingEngine(context.endpoint, context.env, context.signal)
    if (answer.state !== 'silent') return null
    if (context.endpoint.source !== 'default') throw elsewhere(context, answer.cause)
    if (context.machine.platform !== 'linux') {
      throw new DevstackError('ENGINE_NOT_RUNNING', 'the Docker engine does not answer', {
        cause: answer.cause,
        hint: 'start Docker Desktop, OrbStack or Colima, then run devstack again',
      })
    }
    await requireRoot(context, 'the Docker engine does not run', 'sudo dockerd')
    return {
      doing: 'starting the Docker engine',
      consent: null,
      apply: async ({ machine, endpoint, env, stateDir, signal, tell }) => {
        await startEngine({ machine, endpoint, env, stateDir, signal, tell })
      },
    }
  },
}

/** The user may talk to the engine, at the latest through `sg docker`. */
export const accessStep: BootstrapStep = {
  name: 'access',
  satisfied: 'you may use the engine',
  check: async (context) => {
    const { endpoint, env, signal, machine } = context
    const answer = await pingEngine(endpoint, env, signal)
    if (answer.state !== 'denied' || (await inGroup(machine.user, 'docker'))) return null
    const argv = asRoot(machine, ['usermod', '-aG', 'docker', machine.user])
    await requireRoot(context, `${machine.user} may not use the Docker engine`, argv.join(' '))
    return {
      doing: `adding ${machine.user} to the docker group (other terminals have it from the next login on)`,
      consent: {
        question: `${machine.user} may not use the Docker engine: devstack adds you to the docker group, which is as good as root`,
        byHand: argv.join(' '),
      },
      apply: async () => {
        const result = await run(argv, { env, signal })
        if (!result.ok)
          throw new DevstackError('MACHINE_UNSUPPORTED', 'usermod failed', {
            cause: result.lastLines.join('\n'),
            hint: argv.join(' '),
          })
      },
    }
  },
}

/** What makes a Debian from nothing, where images are made here. */
export const imageToolsStep: BootstrapStep = {
  name: 'image tools',
  satisfied: 'mmdebstrap is there',
  check: async (context) => {
    const { env, machine } = context
    if ((await which('mmdebstrap', env)) !== null) return null
    const source = packageSource(machine)
    const what = 'no image registry answers, so images are made here, which needs mmdebstrap'
    if (source.kind === 'none') {
      throw new DevstackError('IMAGE_UNAVAILABLE', what, {
        cause: source.reason,
        hint: 'see that the image registry is reached',
      })
    }
    const ubuntu = `${machine.os['ID'] ?? ''} ${machine.os['ID_LIKE'] ?? ''}`.includes('ubuntu')
    const packages = ['mmdebstrap', ...(ubuntu ? ['debian-archive-keyring'] : [])]
    const byHand = `sudo apt-get update && sudo ${installArgv(ownApt, packages).join(' ')}`
    await requireRoot(context, what, byHand)
    return {
      doing: `installing ${packages.join(' ')}`,
      consent: { question: `${what}: devstack installs ${packages.join(', ')}`, byHand },
      apply: async ({ signal, tell }) => {
        const onLine = nowAndThen(tell)
        await install(machine, ownApt, packages, null, { env, signal, onLine })
      },
    }
  },
}

/** What apt does, in its own words: a sign of life every few seconds, not each of its lines. */
export function nowAndThen(tell: (line: string) => void): (line: string) => void {
  let last = performance.now()
  return (line) => {
    if (!/^(Get:|Unpacking|Setting up)/.test(line) || performance.now() - last < 5000) return
    last = performance.now()
    tell(line)
  }
}
