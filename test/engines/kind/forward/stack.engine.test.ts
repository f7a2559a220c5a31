import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EventBody } from '../../../../src/core/events.js'
import type { LogRecord } from '../../../../src/orchestrator/ports.js'
import { startDrive } from '../../../contract/drive.js'
import type { Drive } from '../../../contract/drive.js'
import { eventually } from '../../../contract/eventually.js'
import { makeKindProject } from '../../../contract/kind-project.js'
import type { KindProject } from '../../../contract/kind-project.js'
import { kindIsThere } from '../../../contract/kind-there.js'

const LINES = 300

/** Counts on both of its streams, and ends with 3: it is started again and again. */
const counter = `$|=1; for my $n (1..${String(LINES)}) { print "n $n\\n"; print STDERR "e $n\\n"; select(undef,undef,undef,0.005) } exit 3`

/** Answers each request with its pod's name, and says what it was asked. */
const server = String.raw`use IO::Socket::INET; $|=1; $SIG{CHLD}="IGNORE"; my $s=IO::Socket::INET->new(LocalPort=>8080,Listen=>64,ReuseAddr=>1) or die; while(my $c=$s->accept){ if(!fork){ while(<$c>){ print "asked $_" if /^GET/; last if /^\r?$/ } my $b=$ENV{HOSTNAME}; print $c "HTTP/1.1 200 OK\r\nContent-Length: ".length($b)."\r\nConnection: close\r\n\r\n$b"; exit } close $c }`

const manifests = `
apiVersion: v1
kind: Pod
metadata: { name: counter }
spec:
  terminationGracePeriodSeconds: 1
  initContainers: [{ name: before, image: 'devstack/base:local', command: [sh, -c, 'echo made ready'] }]
  containers:
    - name: counter
      image: devstack/base:local
      command: [perl, -e, ${JSON.stringify(counter)}]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: devstack/base:local
          command: [perl, -e, ${JSON.stringify(server)}]
          readinessProbe: { httpGet: { path: /ready, port: 8080 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: web, annotations: { devstack.dev/local-port: '28080' } }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
`

if (await kindIsThere()) {
  describe('a stack in a real cluster', () => {
    let project: KindProject
    let drive: Drive
    let stop: AbortController

    beforeAll(async () => {
      project = await makeKindProject({
        'compose.yaml': 'services: { web: { image: devstack/base:local } }\n',
        'manifests/all.yaml': manifests,
      })
      drive = await startDrive(project.engine)
      stop = new AbortController()
    })
    afterAll(async () => {
      stop.abort()
      await drive.down(true)
      await drive.end()
      await project.dispose()
    })

    test('every line of every run of a container that is started again, in order, none twice', async () => {
      const seen: LogRecord[] = []
      await drive.up(['counter'])
      const request = { services: ['counter'], follow: true, since: null, tail: null }
      void (async () => {
        for await (const record of project.engine.logs(request, stop.signal)) seen.push(record)
      })()
      const runs = (): Map<string, string[]> => {
        const found = new Map<string, string[]>()
        for (const { instance, text } of seen) {
          const lines = found.get(instance) ?? []
          found.set(instance, lines)
          lines.push(text)
        }
        return found
      }
      const numbers = (lines: readonly string[], stream: string): readonly number[] =>
        lines.filter((line) => line.startsWith(`${stream} `)).map((line) => Number(line.slice(2)))
      const whole = Array.from({ length: LINES }, (_, index) => index + 1)
      await eventually(() => {
        const ended = [...runs()].filter(([, lines]) => lines.includes(`e ${String(LINES)}`))
        expect(ended.length).toBeGreaterThanOrEqual(2)
        return Promise.resolve()
      }, 120_000)
      for (const [instance, lines] of runs()) {
        if (instance.includes('.before.')) expect(lines).toEqual(['made ready'])
        else if (lines.includes(`e ${String(LINES)}`)) {
          expect(numbers(lines, 'n')).toEqual(whole)
          expect(numbers(lines, 'e')).toEqual(whole)
        }
      }
      expect([...runs().keys()].some((instance) => instance.includes('.before.'))).toBe(true)
    })

    test('its address answers from each of its pods, through their replacement, and is called red without them', async () => {
      const events: EventBody[] = []
      await drive.up(['web'])
      const publishing = project.engine.publish?.((event) => void events.push(event), stop.signal)
      publishing?.catch(() => undefined)
      const [port] = drive.project().services['web']?.ports ?? []
      const ask = async (): Promise<string> => {
        const address = `http://127.0.0.1:${String(port?.published)}/`
        return await (await fetch(address, { signal: AbortSignal.timeout(20_000) })).text()
      }
      await eventually(async () => expect(await ask()).toMatch(/^web-/))
      const first = new Set<string>()
      for (let index = 0; index < 8; index++) first.add(await ask())
      expect(first.size).toBe(2)
      await project.kubectl('delete', 'pod', '--selector', 'app=web', '--wait=false')
      await eventually(async () => expect(first.has(await ask())).toBe(false), 60_000)
      await project.kubectl('scale', 'deployment/web', '--replicas=0')
      await eventually(() => {
        const checked = events.findLast(({ type }) => type === 'addressChecked')
        expect(checked).toMatchObject({ service: 'web', failure: 'no pod is ready' })
        return Promise.resolve()
      }, 60_000)
    })
  })
} else {
  describe('a stack in a real cluster', () => {
    test.skip('no cluster is asked for (DEVSTACK_ENGINES=kind makes one)', () => undefined)
  })
}
