import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { InsideTarget } from '../../../src/engines/kind/inside/target.js'
import type { FileChange } from '../../../src/orchestrator/ports.js'
import { baseImage } from '../../engines/kind/inside/base-image.js'
import { openPods } from '../../engines/kind/inside/pod-world.js'
import type { PodWorld } from '../../engines/kind/inside/pod-world.js'

const run = promisify(execFile)
const SAMPLES = Number(process.env['DEVSTACK_SAMPLES'] ?? 40)
const FILES = 1000

/** Name of what is measured -> samples in milliseconds. */
export async function measureInside(): Promise<Record<string, readonly number[]>> {
  const [name, kubeconfig] = (process.env['DEVSTACK_TEST_PODS'] ?? '').split(':')
  if (name === undefined || kubeconfig === undefined)
    throw new Error('DEVSTACK_TEST_PODS=NAME:KUBECONFIG names a kind cluster')
  const base = await baseImage()
  const world = await openPods({ name, kubeconfig }, [base])
  const folder = await mkdtemp(join(tmpdir(), 'devstack-bench-inside-'))
  try {
    const pods = ['a', 'b', 'c'].map((pod) => `bench-${pod}`)
    await world.apply(...pods.map((pod) => sleeper(pod, base)))
    const targets: InsideTarget[] = []
    for (const pod of pods) targets.push(await world.target(pod))
    return {
      ...(await attach(world, base)),
      ...(await oneFile(world, targets, folder)),
      ...(await manyFiles(world, targets, folder)),
      ...(await commands(world, targets)),
    }
  } finally {
    await world.dispose()
    await rm(folder, { recursive: true, force: true })
  }
}

function sleeper(name: string, image: string): object {
  const container = { name: 'app', image, imagePullPolicy: 'Never', command: ['sleep', 'infinity'] }
  const spec = {
    terminationGracePeriodSeconds: 0,
    securityContext: { runAsUser: 1234 },
    containers: [container],
  }
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }
}

const signal = (): AbortSignal => AbortSignal.timeout(120_000)

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await work()
  return performance.now() - begin
}

/** From a container that is seen to run to an agent that answers. */
async function attach(world: PodWorld, image: string): Promise<Record<string, readonly number[]>> {
  const [fresh, announced, again]: [number[], number[], number[]] = [[], [], []]
  for (let sample = 0; sample < Math.min(SAMPLES, 20); sample++) {
    const early = sample % 2 === 0
    const pod = `fresh-${String(sample)}`
    await world.apply(sleeper(pod, image))
    if (early) world.inside.announce(await world.pod(pod), ['app'])
    const target = await world.target(pod)
    const took = await timed(() => world.inside.prepare(target, signal()))
    if (early) announced.push(took)
    else fresh.push(took)
    world.inside.forget(target)
    again.push(await timed(() => world.inside.prepare(target, signal())))
    await world.kubectl('delete', 'pod', pod, '--wait=false')
  }
  return {
    'agent beside a new container': fresh,
    'the same, announced': announced,
    'agent that is there, connected anew': again,
  }
}

async function oneFile(
  world: PodWorld,
  targets: readonly InsideTarget[],
  folder: string,
): Promise<Record<string, readonly number[]>> {
  const [first] = targets as readonly [InsideTarget]
  const source = join(folder, 'one.py')
  await writeFile(source, 'x'.repeat(3000))
  const change = (at: number): readonly FileChange[] => [
    { type: 'write', source, target: `/srv/app/f${String(at % 5)}.py`, mode: 0o644 },
  ]
  const [own, all, cp]: [number[], number[], number[]] = [[], [], []]
  for (let sample = -1; sample < SAMPLES; sample++) {
    const one = await timed(() => world.inside.deliver(first, change(sample), [], signal()))
    await sleep(50)
    const three = await timed(() =>
      Promise.all(targets.map((target) => world.inside.deliver(target, change(sample), [], signal()))),
    )
    // The first pays for what is made once.
    if (sample >= 0) {
      own.push(one)
      all.push(three)
      if (sample < 15) cp.push(await timed(() => world.kubectl('cp', source, `${first.pod}:/tmp/one.py`)))
    }
    await sleep(50)
  }
  return {
    'one file of 3 KB (goal 10)': own,
    'in the last of 3 replicas (goal 20)': all,
    'one file, kubectl cp': cp,
  }
}

async function manyFiles(
  world: PodWorld,
  targets: readonly InsideTarget[],
  folder: string,
): Promise<Record<string, readonly number[]>> {
  const [first] = targets as readonly [InsideTarget]
  const many = join(folder, 'many')
  await mkdir(many)
  const sources = Array.from({ length: FILES }, (_, at) => join(many, String(at)))
  for (const [at, source] of sources.entries()) await writeFile(source, String(at).padEnd(1024, 'y'))
  const [own, gone, cp]: [number[], number[], number[]] = [[], [], []]
  const deletes: FileChange[][] = []
  // A new folder each time, as for kubectl: file systems remember for a while what was deleted, and are slower then.
  for (let sample = 0; sample < 7; sample++) {
    const target = `/srv/many-${String(sample)}`
    const changes = sources.map((source, at): FileChange => ({
      type: 'write',
      source,
      target: `${target}/f${String(at)}`,
      mode: 0o644,
    }))
    own.push(await timed(() => world.inside.deliver(first, changes, [], signal())))
    cp.push(await timed(() => world.kubectl('cp', many, `${first.pod}:/tmp/many-${String(sample)}`)))
    deletes.push(changes.map((change): FileChange => ({ type: 'delete', target: change.target })))
  }
  for (const some of deletes) gone.push(await timed(() => world.inside.deliver(first, some, [], signal())))
  return { '1,000 files of 1 KB': own, '1,000 files, kubectl cp': cp, '1,000 deletes': gone }
}

async function commands(
  world: PodWorld,
  targets: readonly InsideTarget[],
): Promise<Record<string, readonly number[]>> {
  const [first] = targets as readonly [InsideTarget]
  const request = { argv: ['true'], user: null, workdir: null, env: {} }
  const [own, exec, docker]: [number[], number[], number[]] = [[], [], []]
  for (let sample = 0; sample < 15; sample++) {
    own.push(await timed(() => world.inside.run(first, request, () => undefined, signal())))
    exec.push(await timed(() => world.kubectl('exec', first.pod, '--', 'true')))
    docker.push(await timed(() => run('kubectl', ['version', '--client'])))
  }
  return { 'run of true': own, 'kubectl exec of true': exec, 'of which kubectl itself': docker }
}
