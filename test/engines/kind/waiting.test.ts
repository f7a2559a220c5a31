import { describe, expect, it } from 'vitest'
import { waitingOf } from '../../../src/engines/kind/waiting.js'
import { ended, podOf, runs } from './pods-for-tests.js'

const waits = (reason: string, message = '') =>
  podOf({ state: { waiting: { reason, message } } }, { phase: 'Pending' })

describe('what a pod waits for', () => {
  it('is nothing while its containers run or are being made', () => {
    expect(waitingOf(podOf({ state: runs }))).toBeNull()
    expect(waitingOf(waits('ContainerCreating'))).toBeNull()
    expect(waitingOf(podOf(undefined, { phase: 'Pending' }))).toBeNull()
  })

  it.each([
    ['ErrImageNeverPull', '', 'the image app:wanted is not on the node'],
    ['ImagePullBackOff', '', 'the image app:wanted is not on the node, and it could not be pulled'],
    ['CreateContainerConfigError', 'secret "db" not found', 'app cannot be created: secret "db" not found'],
  ])('%s is final, and says what it is about', (reason, message, cause) => {
    expect(waitingOf(waits(reason, message))).toMatchObject({ cause, final: true })
  })

  it('is memory that no node has, once the scheduler had its time', () => {
    const message =
      '0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: 1 No preemption victims found.'
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }]
    const pod = podOf(undefined, { phase: 'Pending', conditions, memory: '500Gi' })
    expect(waitingOf(pod)).toEqual({
      cause: 'no node has enough memory left for the 500Gi that it requests',
      final: false,
      patienceMs: 5000,
      hint: 'lower its resources.requests, or stop something: devstack ls',
    })
  })

  it('is an init container that works, for as long as it likes', () => {
    const init = [{ name: 'wait', ready: false, restartCount: 0, image: 'w', imageID: '', state: runs }]
    const waiting = waitingOf(
      podOf({ state: { waiting: { reason: 'PodInitializing' } } }, { phase: 'Pending', init }),
    )
    expect(waiting).toMatchObject({ cause: 'its init container wait works', patienceMs: null })
  })

  it('is the pause after a crash, final after the fourth restart', () => {
    const crashed = (restartCount: number) =>
      waitingOf(
        podOf({ restartCount, state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: ended(3) }),
      )
    expect(crashed(1)).toMatchObject({
      cause: 'crash loop: app exited 3, 2 times so far; it is started again after a pause',
      final: false,
    })
    expect(crashed(4)?.final).toBe(true)
  })

  it('is the pause after a crash for want of memory', () => {
    const status = { waiting: { reason: 'CrashLoopBackOff' } }
    expect(waitingOf(podOf({ state: status, lastState: ended(137, 'OOMKilled') }))?.cause).toMatch(
      /^crash loop: app reached its memory limit, once/,
    )
  })

  it.each([
    ['disk-pressure', 'the disk of the node is nearly full (disk pressure): no new pods', /docker system df/],
    ['memory-pressure', 'the memory of the node is nearly used up (memory pressure): no new pods', /stop/],
    ['not-ready', 'the node is not ready: no new pods', /docker ps/],
  ])('is a node with %s, until that is over', (taint, cause, hint) => {
    const message = `0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/${taint}: }. preemption: none.`
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }]
    expect(waitingOf(podOf(undefined, { phase: 'Pending', conditions }))).toEqual({
      cause,
      final: false,
      patienceMs: null,
      hint: expect.stringMatching(hint) as unknown,
    })
  })

  it('is a volume that cannot be mounted, once that was tried three times', () => {
    const mount = (count: number) => {
      const message = 'MountVolume.SetUp failed for volume "code" : hostPath type check failed'
      const warnings = [{ container: null, reason: 'FailedMount', message, count }]
      return waitingOf({ ...waits('ContainerCreating'), warnings })
    }
    expect(mount(2)).toBeNull()
    expect(mount(3)).toMatchObject({
      cause:
        'its pod cannot be made: MountVolume.SetUp failed for volume "code" : hostPath type check failed',
      final: false,
      patienceMs: 20_000,
    })
  })

  it('is a probe that fails, with what it says, for as long as it likes', () => {
    const probed = (message: string, ready = false) =>
      waitingOf({
        ...podOf({ state: runs, ready }, { probe: true }),
        warnings: [{ container: 'app', reason: 'Unhealthy', message, count: 3 }],
      })
    expect(probed('Readiness probe failed: no answer from the port')).toEqual({
      cause: 'not ready: its readiness probe fails: no answer from the port',
      final: false,
      patienceMs: null,
      hint: null,
    })
    expect(probed('Startup probe failed: ')?.cause).toBe('not ready: its startup probe fails')
    expect(probed('Readiness probe failed: no answer', true)).toBeNull()
    expect(probed('Liveness probe failed: no answer')).toBeNull()
  })

  it('says of a crash loop which probe has the container killed', () => {
    const pod = podOf({ state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: ended(137) })
    const message = 'Liveness probe failed: no answer'
    const warnings = [{ container: 'app', reason: 'Unhealthy', message, count: 9 }]
    expect(waitingOf({ ...pod, warnings })?.cause).toMatch(/exited 137.*its liveness probe fails: no answer/)
  })
})
