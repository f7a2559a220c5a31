import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { testCluster } from '../contract/kind-project.js'
import { inTestCluster, kubectl, makeKindPlace, onKind } from './on-kind.js'
import { docker, makePlace, type Place } from './support.js'

// Each fault is caused from outside, and seen as its user sees it. What broke the cluster comes last.

const { name: CLUSTER } = testCluster()
const NODE = `${CLUSTER}-control-plane`
const UP = ['up', '--detach'] as const

/** One service with an image of its own, whose `src` is delivered. `more`: of its container, as YAML. */
function tiny(more: string, command = 'sleep infinity'): Readonly<Record<string, string>> {
  return {
    'compose.yaml': `services:
  app:
    build: .
    develop: { watch: [{ action: sync, path: src, target: /app/src }] }
`,
    Dockerfile: 'FROM devstack/base:local\nCOPY src /app/src\n',
    'src/a.txt': 'first',
    'devstack.yaml': 'engine: kind\nkind: { manifests: k8s }\n',
    'k8s/app.yaml': deployment(more, command),
  }
}

/** `more` begins in line 13, at column 11. */
function deployment(more = '', command = 'sleep infinity'): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: app }
spec:
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: app
          image: app
${more === '' ? '' : `          ${more}\n`}          command: [sh, -c, ${JSON.stringify(command)}]
`
}

/** Its newest pod, as `kubectl exec` runs a program in it; rejects where there is none that runs. */
const inPod = (place: Place, ...argv: readonly string[]): Promise<string> =>
  kubectl('--namespace', place.name, 'exec', 'deploy/app', '--container', 'app', '--', ...argv)

/** A cluster needs longer than what `eventually` is made for. */
async function soon(seconds: number, check: () => Promise<void>): Promise<void> {
  await expect.poll(async () => await check().then(() => 'seen', String), POLLING(seconds)).toBe('seen')
}
const POLLING = (seconds: number) => ({ timeout: seconds * 1000, interval: 500 })

async function isLive(place: Place): Promise<void> {
  const { stdout, code } = await place.devstack(['status', '--json'])
  const { services } = JSON.parse(stdout) as {
    readonly services: readonly { readonly phase: string; readonly freshness: { readonly state: string } }[]
  }
  expect(services.map(({ phase, freshness }) => [phase, freshness.state])).toEqual([['running', 'live']])
  expect(code).toBe(0)
}

async function comesUp(place: Place): Promise<void> {
  const up = await place.devstack(UP)
  expect(up.all).toMatch(/ready in/)
  expect(up.code, up.all).toBe(0)
  await soon(20, async () => await isLive(place))
}

onKind('a service in a cluster', () => {
  it('that ends over and over is told as a crash loop, with its last lines; a mended one comes up', async () => {
    await using place = await makeKindPlace(tiny('', 'echo cannot open /etc/shop.conf; exit 3'))
    const up = await place.devstack(UP)
    expect(up.all).toMatch(/app +\| error: exited 3; it is started again\n.*> cannot open \/etc\/shop\.conf/)
    expect(up.all).toMatch(/not ready, gave up.*\n.*app: restarts over and over: exited 3/)
    expect(up.code).toBe(1)
    const status = await place.devstack(['status'])
    expect(status.code).toBe(1)
    await place.write('k8s/app.yaml', deployment())
    await comesUp(place)
  })

  it('whose probe fails is told with what the probe said, and is ready by itself once it is well', async () => {
    const probe = `readinessProbe: { periodSeconds: 1, exec: { command: [sh, -c, 'test -e /tmp/well || { echo no answer from the port; exit 1; }'] } }`
    await using place = await makeKindPlace(tiny(probe))
    const up = place.start(UP)
    await up.prints(/app +\| not ready: its readiness probe fails: no answer from the port/)
    const status = await place.devstack(['status'])
    expect(status.all).toContain('app: not ready: its readiness probe fails: no answer from the port')
    expect(status.code).toBe(1)
    await inPod(place, 'touch', '/tmp/well')
    expect((await up.ended).code).toBe(0)
    await isLive(place)
  })

  it('that is killed by its liveness probe is told so', async () => {
    const probe = `livenessProbe: { periodSeconds: 1, failureThreshold: 2, exec: { command: [sh, -c, 'test ! -e /tmp/ill || { echo no pulse; exit 1; }'] } }`
    await using place = await makeKindPlace(tiny(probe))
    const up = place.start(['up', '--ui', 'plain'])
    await up.prints(/ready in/)
    await inPod(place, 'touch', '/tmp/ill')
    await up.prints(/app +\| error: exited 137.*it is started again/)
    await up.prints(/killed by the cluster: its liveness probe fails: no pulse/)
    await soon(60, async () => await isLive(place))
    up.kill('SIGTERM')
    await up.ended
  })

  it('that asks for more memory than there is does not start, and says for how much', async () => {
    await using place = await makeKindPlace(tiny('resources: { requests: { memory: 500Gi } }'))
    const up = await place.devstack(UP)
    expect(up.all).toContain('no node has enough memory left for the 500Gi that it requests')
    expect(up.all).toContain('lower its resources.requests')
    expect(up.code).toBe(1)
    await place.write('k8s/app.yaml', deployment('resources: { requests: { memory: 5Mi } }'))
    await comesUp(place)
  })

  it('whose image went from the node is named; up sends it again', async () => {
    await using place = await makeKindPlace(tiny(''))
    await comesUp(place)
    const pods = ['--namespace', place.name, 'get', 'pods', '--output']
    const image = await kubectl(...pods, 'jsonpath={.items[0].spec.containers[0].image}')
    await docker('exec', NODE, 'ctr', '--namespace', 'k8s.io', 'images', 'rm', `docker.io/library/${image}`)
    await kubectl('--namespace', place.name, 'delete', 'pods', '--all', '--wait=false')
    const told = `app: cannot start: the image ${image} is not on the node; devstack up sends it again`
    await soon(30, async () => expect((await place.devstack(['status'])).all).toContain(told))
    await comesUp(place)
  })
})

onKind('manifests that the cluster refuses', () => {
  it('are told with their places, and nothing is created', async () => {
    const widget = 'apiVersion: example.com/v1\nkind: Widget\nmetadata: { name: w }\n'
    await using place = await makeKindPlace({
      ...tiny('imagePullPolicyy: Always'),
      'k8s/widget.yaml': widget,
    })
    const up = await place.devstack(UP)
    expect(up.all).toMatch(/k8s\/app\.yaml:13:11: Deployment app has no field .*imagePullPolicyy/)
    expect(up.all).toMatch(/k8s\/widget\.yaml:2:1: the cluster does not know Widget of example\.com\/v1/)
    expect(up.code).toBe(1)
    expect(await kubectl('--namespace', place.name, 'get', 'deployments', '--output', 'name')).toBe('')
    await place.write('k8s/app.yaml', deployment())
    await place.write('k8s/widget.yaml', '')
    await comesUp(place)
  })
})

onKind('two worktrees in one cluster', () => {
  it('have a namespace each; one is taken away, and the other goes on', async () => {
    await using one = await makeKindPlace(tiny(''))
    await using other = await makeKindPlace(tiny(''))
    await Promise.all([comesUp(one), comesUp(other)])
    await one.write('src/a.txt', 'of one')
    await soon(20, async () => expect(await inPod(one, 'cat', '/app/src/a.txt')).toBe('of one'))
    expect(await inPod(other, 'cat', '/app/src/a.txt')).toBe('first')
    const refused = await one.devstack(['down', '--cluster', '--volumes', '--yes'])
    expect(refused.code).not.toBe(0)
    expect(refused.all).toContain(other.name)
    await isLive(other)
    expect(await kubectl('get', 'namespace', one.name, '--ignore-not-found', '--output', 'name')).toBe('')
  })
})

onKind('a cluster', () => {
  it('that does not answer for 30 s costs no edit, and needs no hand', async () => {
    await using place = await makeKindPlace(tiny(''))
    await comesUp(place)
    await docker('pause', NODE)
    try {
      await place.write('src/a.txt', 'meanwhile')
      const status = await place.devstack(['status'])
      expect(status.all).toMatch(/syncing|does not answer/)
      await new Promise((resolve) => setTimeout(resolve, 25_000))
      await place.write('src/b.txt', 'and later')
    } finally {
      await docker('unpause', NODE)
    }
    await soon(60, async () => await isLive(place))
    expect(await inPod(place, 'cat', '/app/src/a.txt', '/app/src/b.txt')).toBe('meanwhileand later')
  })

  it('whose node is started anew is live again by itself, with every edit', async () => {
    await using place = await makeKindPlace(tiny(''))
    await comesUp(place)
    await place.write('src/a.txt', 'before')
    await docker('restart', NODE)
    await place.write('src/b.txt', 'meanwhile')
    await soon(150, async () => {
      await isLive(place)
      expect(await inPod(place, 'cat', '/app/src/a.txt', '/app/src/b.txt')).toBe('beforemeanwhile')
    })
  })

  it('whose node stands still says so and what to do; up starts it, and every edit is there', async () => {
    await using place = await makeKindPlace(tiny(''))
    await comesUp(place)
    await docker('stop', NODE)
    await place.write('src/a.txt', 'while it stood still')
    const session = await place.sessionPid()
    if (session !== null) process.kill(session, 'SIGTERM')
    await soon(10, async () => expect(await place.sessionPid()).toBeNull())
    const status = await place.devstack(['status'])
    expect(status.all).toMatch(/its nodes are stopped\n.*try: devstack up --engine kind/)
    expect(status.code).not.toBe(0)
    await comesUp(place)
    expect(await inPod(place, 'cat', '/app/src/a.txt')).toBe('while it stood still')
  })

  it('whose creation is killed is made by the next up; down --cluster leaves nothing of it', async () => {
    const name = `${CLUSTER}-half`
    const { env, ...shared } = inTestCluster()
    const place = await makePlace(tiny(''), { ...shared, env: { ...env, DEVSTACK_CLUSTER: name } })
    try {
      const killed = place.start(UP)
      await killed.prints(/Starting control-plane/)
      killed.kill('SIGKILL')
      await killed.ended
      const up = await place.devstack(UP)
      expect(up.all).toMatch(/the cluster is made anew/)
      expect(up.code, up.all).toBe(0)
    } finally {
      await place.devstack(['down', '--cluster', '--volumes', '--yes'])
      await place[Symbol.asyncDispose]()
    }
    const filter = `label=io.x-k8s.kind.cluster=${name}`
    expect(await docker('ps', '--all', '--quiet', '--filter', filter)).toBe('')
    await promisify(execFile)('docker', ['volume', 'ls', '--quiet', '--filter', filter]).then(({ stdout }) =>
      expect(stdout).toBe(''),
    )
  })
})
