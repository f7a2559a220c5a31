import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../bootstrap/command.js'
import type { Component } from '../bootstrap/machine.js'
import { componentNames, lack } from '../bootstrap/versions.js'
import type { CheckDefinition, DoctorContext, Finding } from './check.js'
import { fail, gib, pass, remedy, warning } from './check.js'
import { outsideNames, resolves } from './network-checks.js'

const bootstrapIt = remedy('devstack brings it', ['devstack', 'bootstrap'])

function component(name: Component, title: string): CheckDefinition {
  return {
    category: 'engine',
    name: title,
    blocking: true,
    look: async ({ components }) => {
      const presence = (await components())[name]
      const why = lack(name, presence)
      if (why !== null) return fail(why, bootstrapIt)
      const { version, path } = presence as Extract<typeof presence, { version: string }>
      return pass(`${componentNames[name]} ${version}`, path === null ? undefined : [path])
    },
  }
}

export const engineChecks: readonly CheckDefinition[] = [
  component('client', 'client'),
  { category: 'engine', name: 'engine', blocking: true, look: judgeEngine },
  component('compose', 'compose'),
  component('buildx', 'buildx'),
  { category: 'engine', name: 'storage', look: judgeStorage },
  { category: 'engine', name: 'disk', blocking: true, look: lookAtDisk },
]

/** Not installed, installed and not running, not allowed, too old: four things. */
async function judgeEngine({ answer, components, endpoint }: DoctorContext): Promise<Finding> {
  const { host, remote } = await endpoint()
  if (remote)
    return fail(
      `the engine at ${host} is on another machine`,
      remedy('unset DOCKER_HOST, or docker context use default'),
    )
  const found = await answer()
  const presence = (await components()).engine
  switch (found.state) {
    case 'running': {
      const why = lack('engine', presence)
      return why === null ? pass(`Docker Engine ${found.version} answers`, [host]) : fail(why, bootstrapIt)
    }
    case 'denied':
      return fail('the Docker engine runs, but you may not use it', {
        text: `devstack puts you into the docker group (${found.cause})`,
        commands: [['devstack', 'bootstrap']],
      })
    case 'silent':
      if (presence.state === 'absent')
        return { ...fail('Docker Engine is not installed', bootstrapIt), details: [found.cause] }
      return {
        ...fail(
          'Docker Engine is installed, but does not run',
          remedy('devstack starts it', ['devstack', 'bootstrap']),
        ),
        details: [found.cause],
      }
  }
}

async function judgeStorage({ info }: DoctorContext): Promise<Finding | null> {
  const found = await info()
  if (found === null) return null
  const driver = found.Driver ?? 'unknown'
  const details = [
    `${found.OperatingSystem ?? ''}, kernel ${found.KernelVersion ?? ''}, cgroup v${found.CgroupVersion ?? '?'}`,
    ...(found.Warnings ?? []),
  ]
  if (driver === 'vfs' || driver === 'devicemapper') {
    return {
      ...warning(
        `the storage driver ${driver} copies every layer: slow, and takes much disk`,
        remedy('let the engine use overlay2: "storage-driver" in /etc/docker/daemon.json'),
      ),
      details,
    }
  }
  return pass(`storage driver ${driver}`, details)
}

async function lookAtDisk({ info, endpoint }: DoctorContext): Promise<Finding | null> {
  const root = (await info())?.DockerRootDir
  if (root === undefined || (await endpoint()).source === 'context') return null
  // In a virtual machine's engine the folder is not on this machine.
  const disk = await statfs(root).catch(() => null)
  return disk === null ? null : judgeDisk(root, disk.bavail * disk.bsize)
}

/** The images of the reference stack take about 2 GiB. */
export function judgeDisk(root: string, free: number): Finding {
  const text = `${gib(free)} free where the engine keeps its data (${root})`
  const prune = remedy(
    'delete images that devstack made and no longer uses, then see what takes the room',
    ['devstack', 'images', '--prune'],
    ['docker', 'system', 'df'],
  )
  if (free < 1024 ** 3) return fail(text, prune)
  if (free < 5 * 1024 ** 3) return warning(`${text}: images and builds need about 5 GiB`, prune)
  return pass(text)
}

/** The dearest check: a real container, with a folder of this machine in it, that also looks a name up. */
export const probeCheck: CheckDefinition = {
  category: 'engine',
  name: 'container',
  look: async (context) => {
    if ((await context.answer()).state !== 'running') return null
    const image = context.probeImage ?? (await ownImage(context))
    if (image === null) return null
    const folder = await mkdtemp(join(tmpdir(), 'devstack-doctor-'))
    try {
      const token = randomUUID()
      await writeFile(join(folder, 'token'), token)
      const result = await runProbe(context, image, ['cat', '/probe/token'], folder)
      if (!result.ok || result.stdout.trim() !== token) {
        return {
          ...fail(
            `a container of ${image} with a folder of this machine in it does not work`,
            remedy("see the engine's log; with an engine in a virtual machine, share this folder"),
          ),
          details: result.lastLines,
        }
      }
      return await lookOutside(context, image, folder)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}

async function lookOutside(context: DoctorContext, image: string, folder: string): Promise<Finding> {
  const works = `a container of ${image} runs and reads a folder of this machine`
  const names = await outsideNames(context)
  const known = await Promise.all(names.map(resolves))
  // What this machine cannot look up either says nothing about containers.
  const name = names.find((_, index) => known[index] === true)
  if (name === undefined) return pass(works)
  const result = await runProbe(context, image, ['getent', 'hosts', name], folder)
  // 127: the image has no such program, which says nothing.
  if (result.ok || result.exitCode === 127) return pass(works)
  return warning(
    `${works}, but it cannot look up ${name}: builds may not reach package registries`,
    remedy('see "dns" in /etc/docker/daemon.json'),
  )
}

function runProbe({ env, signal }: DoctorContext, image: string, argv: readonly string[], folder: string) {
  const [program = '', ...words] = argv
  const name = `devstack-doctor-${randomUUID().slice(0, 8)}`
  const options = [
    '--rm',
    '--name',
    name,
    '--label',
    'dev.devstack.probe=1',
    '--pull',
    'never',
    '--user',
    '0:0',
  ]
  const mount = ['--mount', `type=bind,source=${folder},target=/probe,readonly`]
  return run(['docker', 'run', ...options, ...mount, '--entrypoint', program, '--', image, ...words], {
    env,
    signal,
    timeoutMs: 30_000,
  })
}

async function ownImage({ env, signal }: DoctorContext): Promise<string | null> {
  const argv = [
    'docker',
    'image',
    'ls',
    '--filter',
    'reference=devstack/*',
    '--format',
    '{{.Repository}}:{{.Tag}}',
  ]
  const { stdout } = await run(argv, { env, signal, timeoutMs: 10_000 })
  return stdout.split('\n').find((line) => line !== '' && !line.includes('<none>')) ?? null
}
