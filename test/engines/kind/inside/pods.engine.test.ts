import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Inside } from '../../../../src/engines/kind/inside/inside.js'
import type { InsideTarget } from '../../../../src/engines/kind/inside/target.js'
import { GATE, GATE_SCRIPT } from '../../../../src/engines/kind/objects/gate.js'
import type { FileChange, InsideRequest } from '../../../../src/orchestrator/ports.js'
import { eventually } from '../../../contract/eventually.js'
import { kindIsThere } from '../../../contract/kind-there.js'
import { BARE } from './bare-image.js'
import { baseImage } from './base-image.js'
import { docker } from './docker-program.js'
import { once, openPods } from './pod-world.js'
import type { PodWorld } from './pod-world.js'
import { testCluster } from './test-cluster.js'

const there = await kindIsThere()
const BARE_IMAGE = 'ds-in-bare:test'

describe.skipIf(!there)('inside of pods', () => {
  let world: PodWorld
  let folder: string
  let base: string
  const signal = (): AbortSignal => AbortSignal.timeout(120_000)
  const write = async (target: string, text: string): Promise<FileChange> => {
    const source = join(folder, randomUUID())
    await writeFile(source, text)
    return { type: 'write', source, target, mode: 0o644 }
  }
  const runIn = async (target: InsideTarget, argv: readonly string[], inside: Inside = world.inside) => {
    const lines: string[] = []
    const request: InsideRequest = { argv, user: null, workdir: null, env: {} }
    const exitCode = await inside.run(target, request, (line) => lines.push(line), signal())
    return { exitCode, lines }
  }
  /** A pod of one container `app`. */
  const pod = (name: string, container: object, spec: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 30,
      containers: [
        { name: 'app', image: base, imagePullPolicy: 'Never', command: ['sleep', 'infinity'], ...container },
      ],
      ...spec,
    },
  })

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'devstack-pods-'))
    base = await baseImage()
    await writeFile(join(folder, 'Dockerfile'), BARE.replace('IMAGE', base))
    await docker('build', '--quiet', '--tag', BARE_IMAGE, folder)
    world = await openPods(await testCluster(), [base, BARE_IMAGE])
  })
  afterAll(async () => {
    await world.dispose()
    await docker('image', 'rm', '--force', BARE_IMAGE)
    await rm(folder, { recursive: true, force: true })
  })

  test('an image without a shell, as a user that is not root and may do nothing: files come and go, programs run', async () => {
    const locked = {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      runAsUser: 1234,
      runAsGroup: 2345,
    }
    await world.apply(
      pod(
        'bare',
        { image: BARE_IMAGE, command: undefined, securityContext: locked },
        { securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } },
      ),
    )
    const target = await world.target('bare')
    const { failed } = await world.inside.deliver(
      target,
      [await write('/app/deep/new', 'new'), { type: 'delete', target: '/app/file' }],
      [],
      signal(),
    )
    expect(failed).toEqual([])
    expect((await runIn(target, ['cat', '/app/deep/new'])).lines).toEqual(['new'])
    expect((await runIn(target, ['cat', '/app/file'])).exitCode).toBe(1)
    expect((await runIn(target, ['id'])).lines).toEqual(['uid=1234(app) gid=2345 groups=2345'])
    expect((await runIn(target, ['pwd'])).lines).toEqual(['/app'])
    const { lines } = await runIn(target, ['cat', '/proc/self/status'])
    expect(lines.filter((line) => /^Cap|^NoNewPrivs/.test(line)).map((line) => line.split('\t')[1])).toEqual([
      ...Array<string>(5).fill('0'.repeat(16)),
      '1',
    ])
  })

  test('a container that was restarted has another agent, and its files are the image’s', async () => {
    await world.apply(pod('again', { command: ['sh', '-c', 'trap exit TERM; sleep infinity & wait'] }))
    const before = await world.target('again')
    await world.inside.deliver(before, [await write('/srv/file', '1')], [], signal())
    await world.kubectl('exec', 'again', '--', 'sh', '-c', 'kill -TERM 1').catch(() => '')
    const after = await once(async () => {
      const target = await world.target('again')
      expect(target.restartCount).toBe(1)
      return target
    })
    await expect(
      world.inside.deliver(before, [await write('/srv/file', '2')], [], signal()),
    ).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
      message: 'the container of app is gone',
    })
    expect((await runIn(after, ['cat', '/srv/file'])).exitCode).toBe(1)
    expect((await world.inside.deliver(after, [await write('/srv/file', '3')], [], signal())).failed).toEqual(
      [],
    )
    expect((await runIn(after, ['cat', '/srv/file'])).lines).toEqual(['3'])
    const { spec } = await world.pod('again')
    expect(spec.ephemeralContainers?.map(({ name }) => name).toSorted()).toEqual([
      'devstack-agent-1',
      'devstack-agent-2',
    ])
  })

  test('containers that share their processes have each their own files', async () => {
    const other = { name: 'other', image: base, imagePullPolicy: 'Never', command: ['sleep', '100000'] }
    const shared = pod('shared', {}, { shareProcessNamespace: true })
    await world.apply({ ...shared, spec: { ...shared.spec, containers: [...shared.spec.containers, other] } })
    const targets = [await world.target('shared'), await world.target('shared', 'other')]
    for (const target of targets)
      await world.inside.deliver(target, [await write('/srv/who', target.container)], [], signal())
    for (const target of targets) {
      expect((await runIn(target, ['cat', '/srv/who'])).lines).toEqual([target.container])
      expect(
        await world.kubectl('exec', 'shared', '--container', target.container, '--', 'cat', '/srv/who'),
      ).toBe(target.container)
    }
  })

  test('volumes are written to; folders of the node and what is read-only are named', async () => {
    await world.apply(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { 'a.ini': 'a' } },
      pod(
        'volumes',
        {
          volumeMounts: [
            { name: 'scratch', mountPath: '/scratch' },
            { name: 'node', mountPath: '/node' },
            { name: 'settings', mountPath: '/settings' },
          ],
        },
        {
          volumes: [
            { name: 'scratch', emptyDir: {} },
            { name: 'node', hostPath: { path: '/var/local/ds-in', type: 'DirectoryOrCreate' } },
            { name: 'settings', configMap: { name: 'settings' } },
          ],
        },
      ),
    )
    const target = await world.target('volumes')
    const places = ['/scratch/x', '/node/x', '/settings/x', '/srv/x']
    const changes = await Promise.all(places.map((place) => write(place, 'x')))
    const { written, failed } = await world.inside.deliver(target, changes, [], signal())
    expect(Object.keys(written)).toEqual(['/scratch/x', '/srv/x'])
    expect(failed).toEqual([
      {
        target: '/node/x',
        cause: '/node is a folder of this machine: nothing is written into your own files',
      },
      { target: '/settings/x', cause: 'Read-only file system' },
    ])
    expect((await runIn(target, ['ls', '-A', '/scratch', '/node'])).lines).toEqual([
      '/node:',
      '',
      '/scratch:',
      'x',
    ])
  })

  test('a container whose files are read-only is told from one that is only locked in part', async () => {
    await world.apply(pod('locked', { securityContext: { readOnlyRootFilesystem: true } }))
    const change = await write('/srv/x', 'x')
    await expect(
      world.inside.deliver(await world.target('locked'), [change], [], signal()),
    ).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
      why: 'Read-only file system',
      hint: 'its root file system is read-only: use a rebuild rule instead of sync',
    })
  })

  test('a program that waits at its gate begins when it is opened, with the files that came before', async () => {
    await world.apply(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'gate' }, data: { gate: GATE_SCRIPT } },
      pod(
        'gated',
        {
          command: ['/bin/sh', GATE.script, 'app', 'sh', '-c', 'cat /srv/begun; echo; exec sleep infinity'],
          env: [{ name: 'DEVSTACK_GATE_SECONDS', value: '60' }],
          securityContext: { runAsUser: 1234 },
          volumeMounts: [
            { name: 'gate', mountPath: GATE.binFolder },
            { name: 'run', mountPath: GATE.runFolder },
          ],
        },
        {
          volumes: [
            { name: 'gate', configMap: { name: 'gate' } },
            { name: 'run', emptyDir: {} },
          ],
        },
      ),
    )
    const target = await world.target('gated')
    await world.inside.deliver(target, [await write('/srv/begun', 'delivered before')], [], signal())
    expect(await world.inside.openGate(target, signal())).toBe('opened')
    await eventually(async () => expect(await world.kubectl('logs', 'gated')).toBe('delivered before'))
    expect(await world.inside.openGate(target, signal())).toBe('none')
    expect((await runIn(target, ['id', '-u'])).lines).toEqual(['1234'])
  })

  test.each(['Never pulled', 'refused by a policy'])(
    'where no agent can be: %s, the image’s own programs do it',
    async (why) => {
      const name = why === 'Never pulled' ? 'pulled' : 'restricted'
      const safe = {
        allowPrivilegeEscalation: false,
        runAsNonRoot: true,
        runAsUser: 1234,
        capabilities: { drop: ['ALL'] },
        seccompProfile: { type: 'RuntimeDefault' },
      }
      await world.apply(pod(name, { securityContext: safe }))
      const target = await world.target(name)
      const namespace = (await world.pod(name)).metadata.namespace ?? ''
      const label = 'pod-security.kubernetes.io/enforce'
      if (name === 'restricted') await world.kubectl('label', 'namespace', namespace, `${label}=restricted`)
      try {
        const inside = name === 'restricted' ? world.inside : world.without
        const changes = [await write('/tmp/deep/new', 'new'), await write('/etc/new', 'x')]
        const { written, failed } = await inside.deliver(target, changes, [], signal())
        expect([Object.keys(written), failed.map((one) => one.target)]).toEqual([
          ['/tmp/deep/new'],
          ['/etc/new'],
        ])
        expect((await runIn(target, ['cat', '/tmp/deep/new'], inside)).lines).toEqual(['new'])
      } finally {
        if (name === 'restricted') await world.kubectl('label', 'namespace', namespace, `${label}-`)
      }
    },
  )

  test('a pod goes as soon with an agent as without', async () => {
    const command = ['sh', '-c', 'trap exit TERM; sleep infinity & wait']
    await world.apply(pod('quick', { command }, { terminationGracePeriodSeconds: 3600 }))
    await world.inside.prepare(await world.target('quick'), signal())
    const { metadata } = await world.pod('quick')
    await world.kubectl('delete', 'pod', 'quick', '--wait=false')
    // Its containers have an hour to end; neither of them uses it.
    await eventually(async () => {
      const there = await world.kubectl('get', 'pods', '--output', 'jsonpath={.items[*].metadata.uid}')
      expect(there.split(' ')).not.toContain(metadata.uid)
    }, 120_000)
  })
})
