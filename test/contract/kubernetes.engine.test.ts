import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Event } from '../../src/core/events.js'
import { appDockerfile } from './app-image.js'
import { makeClusterWorld } from './cluster-world.js'
import { describeEngine } from './describe-engine.js'
import { startDrive } from './drive.js'
import type { Drive } from './drive.js'
import { makeClusterProject } from './kind-project.js'
import type { ClusterPlace, KindProject } from './kind-project.js'
import { makeTeamCluster, teamClusterIsThere } from './team-cluster.js'
import type { TeamCluster } from './team-cluster.js'

const composeFile = `
services:
  app:
    build: { context: ./app }
    develop:
      watch: [{ action: sync, path: ./app, target: /app }]
`

/** On each worker one. */
const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: app }
spec:
  replicas: 2
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      terminationGracePeriodSeconds: 1
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - { topologyKey: kubernetes.io/hostname, labelSelector: { matchLabels: { app: app } } }
      containers: [{ name: app, image: app }]
`
const data = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
`

function describeTeam(team: () => TeamCluster): void {
  const projects: KindProject[] = []
  const drives: Drive[] = []
  const make = async (place: ClusterPlace, name?: string): Promise<KindProject> => {
    const project = await makeClusterProject(
      {
        'compose.yaml': composeFile,
        'app/Dockerfile': appDockerfile,
        'app/main.txt': 'first',
        'manifests/app.yaml': deployment,
        'manifests/data.yaml': data,
      },
      place,
      name,
    )
    projects.push(project)
    return project
  }
  const drive = async ({ engine }: KindProject): Promise<Drive> => {
    const one = await startDrive(engine)
    drives.push(one)
    return one
  }
  const name = (): string => `dstest-${randomBytes(4).toString('hex')}`
  const signal = (): AbortSignal => AbortSignal.timeout(60_000)
  afterEach(async () => {
    for (const one of drives.splice(0)) await one.end()
    for (const one of projects.splice(0)) await one.dispose()
  })

  describe('a cluster of the team', () => {
    test('a namespace that is there already is left as it is, even an empty one', async () => {
      const stack = name()
      await team().kubectl('create', 'namespace', `${stack}-ada`)
      const look = () => team().kubectl('get', 'namespace', `${stack}-ada`, '--output', 'json')
      const before = await look()
      const project = await make(team().place('ada'), stack)
      await expect(drive(project)).rejects.toMatchObject({ code: 'STATE_FOREIGN' })
      await expect(project.engine.observe(signal())).rejects.toMatchObject({
        code: 'STATE_FOREIGN',
        why: 'devstack did not make it: it does not carry our label',
      })
      expect(await look()).toBe(before)
    })

    test('two developers have the same stack side by side, and neither touches the other', async () => {
      const stack = name()
      const [ada, eve] = [await make(team().place('ada'), stack), await make(team().place('eve'), stack)]
      const adas = await drive(ada)
      expect((await adas.up()).failures).toEqual([])
      const eves = await drive(eve)
      expect((await eves.up()).failures).toEqual([])
      await expect(drive(await make(team().place('eve', 'ada'), stack))).rejects.toMatchObject({
        code: 'STATE_FOREIGN',
        why: expect.stringContaining(`of ada in `) as unknown,
      })
      await eves.down(true)
      expect(await eve.things()).toEqual([])
      const { instances } = await ada.engine.observe(signal())
      expect(instances.map(({ service, state }) => `${service} ${state}`)).toEqual([
        'app running',
        'app running',
      ])
      await adas.down(true)
    })

    test('what is saved is in the replicas on both nodes', async () => {
      const project = await make(team().place('ada'))
      const driven = await drive(project)
      await driven.up()
      const nodes = await project.kubectl('get', 'pods', '--output', 'jsonpath={.items[*].spec.nodeName}')
      expect(new Set(nodes.split(' ')).size).toBe(2)
      const folder = await mkdtemp(join(tmpdir(), 'devstack-saved-'))
      await writeFile(join(folder, 'main.txt'), 'saved')
      const { instances } = await project.engine.observe(signal())
      const change = {
        type: 'write',
        source: join(folder, 'main.txt'),
        target: '/app/main.txt',
        mode: 0o644,
      } as const
      for (const instance of instances) await project.engine.deliver(instance, [change], signal())
      const texts = await Promise.all(
        instances.map(async (instance) => {
          const lines: string[] = []
          const request = { argv: ['cat', '/app/main.txt'], user: null, workdir: null, env: {} }
          await project.engine.run(instance, request, (line) => lines.push(line), signal())
          return lines.join('\n')
        }),
      )
      expect(texts).toEqual(['saved', 'saved'])
      await rm(folder, { recursive: true })
      await driven.down(true)
    })

    test('down leaves the data, then nothing of the stack, and all of everybody else', async () => {
      const other = name()
      await team().kubectl('create', 'namespace', other)
      await team().kubectl('create', 'configmap', 'theirs', '--namespace', other)
      const everything = () =>
        team().kubectl(
          'get',
          'namespaces,deployments,configmaps,secrets,pvc,services',
          '-A',
          '--output',
          'name',
        )
      const before = await everything()
      const project = await make(team().place('ada'))
      const driven = await drive(project)
      await driven.up()
      await driven.down(false)
      expect(await project.things()).toEqual([`namespace/${project.namespace}`, 'persistentvolumeclaim/data'])
      await driven.down(true)
      expect(await everything()).toBe(before)
      await team().kubectl('delete', 'namespace', other)
    })

    test('what somebody else put into the namespace stays, and it with it', async () => {
      const project = await make(team().place('ada'))
      const driven = await drive(project)
      await driven.up()
      await project.kubectl('create', 'service', 'clusterip', 'theirs', '--tcp', '80')
      const told: Event[] = []
      driven.store.subscribe((event) => told.push(event))
      await driven.down(true)
      expect(await project.things()).toEqual([`namespace/${project.namespace}`, 'service/theirs'])
      expect(told).toContainEqual(
        expect.objectContaining({
          type: 'warned',
          message: `the namespace ${project.namespace} stays: Service theirs in it is not of this stack`,
        }),
      )
    })

    test('a registry that does not answer is named', async () => {
      const driven = await drive(await make(withRegistry(team().place('ada'), '127.0.0.1:1/shop')))
      expect((await driven.up()).failures).toEqual([
        expect.objectContaining({ service: 'app', cause: expect.stringContaining('127.0.0.1:1') as unknown }),
      ])
    })

    test('an image that the nodes cannot pull is named', async () => {
      // By this name only this machine reaches it.
      const elsewhere = team().registry.replace('127.0.0.1', 'localhost')
      const driven = await drive(await make(withRegistry(team().place('ada'), elsewhere)))
      const { failures } = await driven.up()
      expect(failures).toEqual([
        expect.objectContaining({
          service: 'app',
          cause: expect.stringMatching(/^the image localhost:\d+\/shop\/.*could not be pulled/) as unknown,
        }),
      ])
    })
  })
}

function withRegistry(place: ClusterPlace, name: string): ClusterPlace {
  return { ...place, options: (stack) => ({ ...place.options(stack), registry: { name, env: {} } }) }
}

if (await teamClusterIsThere()) {
  let team: TeamCluster
  beforeAll(async () => {
    team = await makeTeamCluster()
  })
  afterAll(async () => {
    await team.dispose()
  })
  describeEngine('kubernetes', () =>
    makeClusterWorld((files) => makeClusterProject(files, team.place('ada'))),
  )
  describeTeam(() => team)
} else {
  describe('kubernetes as an engine', () => {
    test.skip('no cluster is asked for (DEVSTACK_ENGINES=kubernetes makes one)', () => undefined)
  })
}
