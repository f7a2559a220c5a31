import { describe, expect, test } from 'vitest'
import type { Decisions } from '../../../../src/engines/kind/objects/decisions.js'
import { configHashes, namespaceObject, toApply } from '../../../../src/engines/kind/objects/to-apply.js'
import type { DesiredObject } from '../../../../src/engines/kind/objects/to-apply.js'
import { containerNotes } from '../../../../src/engines/kind/pods.js'
import type { Pod } from '../../../../src/engines/kind/pods.js'
import { decide, image, parse } from './decide.js'

const apply = (text: string, more: Partial<Decisions> = {}) => {
  const objects = parse(text)
  return toApply(objects, decide(objects, more))
}

const only = (text: string, more: Partial<Decisions> = {}): DesiredObject => {
  const found = apply(text, more).objects.filter(({ object }) => object.metadata.name !== 'devstack-gate')
  expect(found).toHaveLength(1)
  return found[0] as DesiredObject
}

const API = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: api, namespace: shop, labels: { app: api } }
spec:
  selector: { matchLabels: { app: api } }
  template:
    metadata: { labels: { app: api } }
    spec:
      initContainers: [{ name: wait, image: shop-api, args: [wait] }]
      containers:
        - name: api
          image: shop-api
          securityContext: { readOnlyRootFilesystem: true, runAsUser: 1000 }
          volumeMounts: [{ name: data, mountPath: /data }]
      volumes: [{ name: data, emptyDir: {} }]
`

/** What a Deployment's pods are. */
const pods = ({ object }: DesiredObject) => (object['spec'] as { template: Pod }).template
const container = (one: DesiredObject, index = 0) => pods(one).spec.containers[index]

describe('an object as it is applied', () => {
  test('is in the namespace, labelled, and says whose it is', () => {
    const { object } = only(API)
    expect(object.metadata).toMatchObject({
      name: 'api',
      namespace: 'devstack-shop-x',
      labels: {
        app: 'api',
        'app.kubernetes.io/managed-by': 'devstack',
        'devstack.dev/project': 'shop-x',
      },
      annotations: { 'devstack.dev/worktree': '/work/shop-x' },
    })
    expect(pods(only(API)).metadata.labels).toEqual({
      app: 'api',
      'app.kubernetes.io/managed-by': 'devstack',
      'devstack.dev/project': 'shop-x',
      'devstack.dev/workload': 'api',
    })
  })

  test("a pod's label that a selector may want stays as it is", () => {
    const managed = API.replace(
      'labels: { app: api } }\n    spec',
      'labels: { app: api, app.kubernetes.io/managed-by: me } }\n    spec',
    )
    expect(pods(only(managed)).metadata.labels?.['app.kubernetes.io/managed-by']).toBe('me')
  })

  test('what a server filled in is left out', () => {
    const { object } = only(
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, uid: u, resourceVersion: "1", managedFields: [], annotations: {kubectl.kubernetes.io/last-applied-configuration: x}}\ndata: {a: b}\nstatus: {}`,
    )
    expect(Object.keys(object)).toEqual(['apiVersion', 'kind', 'data', 'metadata'])
    expect(Object.keys(object.metadata).sort()).toEqual(['annotations', 'labels', 'name', 'namespace'])
    expect(Object.keys(object.metadata.annotations ?? {}).sort()).toEqual([
      'devstack.dev/fixed-hash',
      'devstack.dev/hash',
      'devstack.dev/worktree',
    ])
  })

  test('its images are the local ones, which no registry may replace', () => {
    const one = only(API)
    expect(container(one)).toMatchObject({ image: 'shop-api:ds-1', imagePullPolicy: 'Never' })
    expect(pods(one).spec.initContainers).toMatchObject([
      { image: 'shop-api:ds-1', imagePullPolicy: 'Never' },
    ])
    expect(container(only(API.replaceAll('image: shop-api', 'image: redis:8')))).not.toHaveProperty(
      'imagePullPolicy',
    )
  })

  test('its pods say what their containers are', () => {
    const one = only(API, { gate: () => true })
    expect(containerNotes(pods(one))).toEqual({
      api: {
        service: 'api',
        configHash: one.configHash,
        imageId: 'sha256:shop-api:ds-1',
        buildHash: 'b',
        gated: true,
      },
    })
  })

  test('where files are delivered the file system can be written to, and that is told', () => {
    const { objects, warnings } = apply(API, { watched: new Set(['api']) })
    expect(container(objects[0] as DesiredObject)).toMatchObject({
      securityContext: { readOnlyRootFilesystem: false, runAsUser: 1000 },
    })
    expect(warnings.map(({ message }) => message)).toEqual([
      'api gets a writable root file system here: the files that are saved are delivered into it',
    ])
    expect(container(only(API))).toMatchObject({ securityContext: { readOnlyRootFilesystem: true } })
  })

  test('a command that makes no sense is left to the server', () => {
    const wrong = API.replace('image: shop-api\n', 'image: shop-api\n          command: [python, 5]\n')
    expect(container(only(wrong, { gate: () => true }))).toMatchObject({ command: ['python', 5] })
  })
})

describe('the gate', () => {
  const gated = (words: string, more: Partial<Decisions> = {}) => {
    const text = API.replace('image: shop-api\n', `image: shop-api\n          ${words}\n`)
    const { command, args } = container(only(text, { gate: () => true, ...more })) as unknown as Record<
      string,
      unknown
    >
    return [command, args]
  }
  const sh = ['/bin/sh', '/.devstack/bin/gate', 'api']

  test.each([
    ['tty: false', ['/entry'], ['serve', '$$$$', '$$(A)']],
    ['args: [migrate]', ['/entry'], ['migrate']],
    ['command: [python]', ['python'], undefined],
    ['command: []', ['/entry'], ['serve', '$$$$', '$$(A)']],
    ['command: [python], args: [$(A)]'.replace(', ', '\n          '), ['python'], ['$(A)']],
  ])('stands before what %s runs', (words, command, args) => {
    expect(gated(words)).toEqual([[...sh, ...command], args])
  })

  test.each([
    [{ entrypoint: ['reload'] }, ['reload'], undefined],
    [{ entrypoint: ['reload'], command: ['x'] }, ['reload'], ['x']],
    [{ command: ['x'] }, ['/entry'], ['x']],
  ])('stands before what is run instead: %j', (override, command, args) => {
    expect(gated('args: [migrate]', { commands: { api: override } })).toEqual([[...sh, ...command], args])
  })

  test('comes with a script and a folder', () => {
    const { objects } = apply(API, { gate: () => true })
    expect(objects.map(({ object, stage }) => `${stage} ${object.kind} ${object.metadata.name}`)).toEqual([
      'config ConfigMap devstack-gate',
      'workload Deployment api',
    ])
    expect(pods(objects[1] as DesiredObject).spec).toMatchObject({
      volumes: [
        { name: 'data' },
        { name: 'devstack-gate', configMap: { name: 'devstack-gate', defaultMode: 0o555 } },
        { name: 'devstack-run', emptyDir: {} },
      ],
      containers: [
        {
          volumeMounts: [
            { name: 'data' },
            { mountPath: '/.devstack/bin', readOnly: true },
            { mountPath: '/.devstack/run' },
          ],
        },
      ],
    })
  })

  test('is left out, and that is told, where it is not known what the image runs', () => {
    const { objects, warnings } = apply(API, {
      gate: () => true,
      images: { 'shop-api': image('r', { config: null }) },
    })
    expect(objects.map(({ object }) => object.kind)).toEqual(['Deployment'])
    expect(containerNotes(pods(objects[0] as DesiredObject))['api']?.gated).toBe(false)
    expect(warnings.map(({ message }) => message)).toEqual([
      'api starts before its files are level: what its image runs is not known',
    ])
  })

  test('is none for a sidecar: the others wait until it has started', () => {
    const text = API.replace('args: [wait] }', 'args: [wait], restartPolicy: Always }')
    const one = apply(text, { gate: () => true }).objects.find(({ object }) => object.kind === 'Deployment')
    const notes = containerNotes(pods(one as DesiredObject))
    expect(Object.values(notes).map(({ service, gated }) => [service, gated])).toEqual([
      ['api', true],
      ['wait', false],
    ])
    expect(pods(one as DesiredObject).spec.initContainers).toMatchObject([{ args: ['wait'] }])
  })

  test('is taken away again where nothing is to wait any more', () => {
    const first = apply(API, { gate: () => true }).objects.map(({ object }) => object)
    const again = toApply(first, decide(first)).objects
    expect(again.map(({ object }) => object.kind)).toEqual(['Deployment'])
    expect(container(again[0] as DesiredObject)).toMatchObject({
      command: ['/entry'],
      volumeMounts: [{ name: 'data' }],
    })
  })
})

describe('a hash of the pods', () => {
  const hash = (text: string, more: Partial<Decisions> = {}) => configHashes(apply(text, more))['api']

  test('does not change with the order of keys, the namespace, replicas or the image behind a name', () => {
    const same = API.replace('name: api, namespace: shop', 'namespace: other, name: api').replace(
      'spec:\n  selector',
      'spec:\n  replicas: 3\n  selector',
    )
    expect(hash(same)).toBe(hash(API))
    expect(hash(API, { images: { 'shop-api': image('shop-api:ds-2') } })).toBe(hash(API))
  })

  test.each([
    [
      'an image',
      API.replace('name: api\n          image: shop-api', 'name: api\n          image: shop-api:2'),
      {},
    ],
    ['a mount', API.replace('/data', '/else'), {}],
    ['a gate', API, { gate: () => true }],
    ['what it runs', API, { commands: { api: { command: ['x'] } } }],
  ])('changes with %s', (_, text, more: Partial<Decisions>) => {
    expect(hash(text, more)).not.toBe(hash(API))
  })

  test('the whole object has one, which changes with the image', () => {
    const one = only(API)
    const other = only(API, { images: { 'shop-api': image('shop-api:ds-2') } })
    expect(one.object.metadata.annotations?.['devstack.dev/hash']).toBe(one.hash)
    expect(other.hash).not.toBe(one.hash)
  })
})

describe('what cannot be changed while it is there has a hash of its own', () => {
  const JOB = `apiVersion: batch/v1\nkind: Job\nmetadata: {name: m}\nspec: {backoffLimit: 3, template: {spec: {restartPolicy: Never, containers: [{name: m, image: shop-api}]}}}`
  const SET = `apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {replicas: 1, selector: {matchLabels: {a: b}}, volumeClaimTemplates: [{metadata: {name: d}, spec: {resources: {requests: {storage: 1Gi}}}}], template: {metadata: {labels: {a: b}}, spec: {containers: [{name: db, image: postgres}]}}}`
  const CLAIM = `apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}`

  test.each([
    ['the image of a Job', JOB, JOB.replace('shop-api', 'other')],
    ['the claims of a StatefulSet', SET, SET.replace('1Gi', '2Gi')],
    ['the selector of a Deployment', API, API.replaceAll('app: api', 'app: b')],
    ['the strategy of a Deployment', API, API.replace('spec:\n', 'spec:\n  strategy: { type: Recreate }\n')],
    ['the strategy of a StatefulSet', SET, SET.replace('replicas: 1', 'updateStrategy: {type: OnDelete}')],
    ['the failure policy of a Job', JOB, JOB.replace('backoffLimit: 3', 'podFailurePolicy: {rules: []}')],
    ['the modes of a claim', CLAIM, CLAIM.replace('ReadWriteOnce', 'ReadWriteMany')],
    [
      'the data of an immutable ConfigMap',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nimmutable: true\ndata: {a: b}',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nimmutable: true\ndata: {a: c}',
    ],
  ])('another one with %s', (_, before, after) => {
    expect(only(after).fixedHash).not.toBe(only(before).fixedHash)
  })

  test.each([
    ['the backoff of a Job', JOB, JOB.replace('backoffLimit: 3', 'backoffLimit: 4')],
    ['the pods of a StatefulSet', SET, SET.replace('image: postgres', 'image: postgres:17')],
    ['the replicas of a StatefulSet', SET, SET.replace('replicas: 1', 'replicas: 2')],
    ['the size of a claim', CLAIM, CLAIM.replace('1Gi', '2Gi')],
    ['the pods of a Deployment', API, API.replace('/data', '/else')],
    [
      'the data of a ConfigMap',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: c}',
    ],
  ])('the same with %s', (_, before, after) => {
    expect(only(after).fixedHash).toBe(only(before).fixedHash)
    expect(only(after).hash).not.toBe(only(before).hash)
  })

  test('an id in the notes of a Job makes it another one, so that it runs again with its image', () => {
    const more = { images: { 'shop-api': image('shop-api:ds-1', { id: 'sha256:other' }) } }
    expect(only(JOB, more).fixedHash).not.toBe(only(JOB).fixedHash)
  })

  test('claims of a StatefulSet are known as the project’s', () => {
    expect(only(SET).object['spec']).toMatchObject({
      volumeClaimTemplates: [{ metadata: { name: 'd', labels: { 'devstack.dev/project': 'shop-x' } } }],
    })
  })
})

describe('what several worktrees can have', () => {
  const service = (spec: string) =>
    only(`apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {${spec}}`).object['spec']

  test.each([
    ['type: NodePort, ports: [{port: 80, nodePort: 30080}]', { type: 'ClusterIP', ports: [{ port: 80 }] }],
    [
      'type: LoadBalancer, externalTrafficPolicy: Local, ports: [{port: 80}]',
      { type: 'ClusterIP', ports: [{ port: 80 }] },
    ],
    ['clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1]', {}],
    ['clusterIP: None', { clusterIP: 'None' }],
    ['type: ExternalName, externalName: example.org', { type: 'ExternalName', externalName: 'example.org' }],
  ])('of a Service: %s', (spec, expected) => {
    expect(service(spec)).toEqual(expected)
  })

  test('no port of the node', () => {
    const { objects, warnings } = apply(
      API.replace(
        'image: shop-api\n',
        'image: shop-api\n          ports: [{ containerPort: 1, hostPort: 2 }]\n',
      ),
    )
    expect(container(objects[0] as DesiredObject)).toMatchObject({ ports: [{ containerPort: 1 }] })
    expect(warnings).toHaveLength(1)
  })

  test('a CronJob that does not run by the clock', () => {
    const text = `apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: n}\nspec: {schedule: "* * * * *", jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: shop-api}]}}}}}`
    expect(only(text).object['spec']).toMatchObject({
      suspend: true,
      jobTemplate: { spec: { template: { spec: { containers: [{ image: 'shop-api:ds-1' }] } } } },
    })
  })

  test('a Job that does not remove itself', () => {
    const text = `apiVersion: batch/v1\nkind: Job\nmetadata: {name: m}\nspec: {ttlSecondsAfterFinished: 5, template: {spec: {containers: [{name: m, image: i}]}}}`
    expect(only(text).object['spec']).not.toHaveProperty('ttlSecondsAfterFinished')
    expect(apply(text).warnings).toHaveLength(1)
  })

  test('accounts that are bound are those of the namespace', () => {
    const text = `apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: r, namespace: shop}\nroleRef: {kind: Role, name: r}\nsubjects: [{kind: ServiceAccount, name: a, namespace: shop}, {kind: User, name: u}]`
    expect(only(text).object['subjects']).toEqual([
      { kind: 'ServiceAccount', name: 'a', namespace: 'devstack-shop-x' },
      { kind: 'User', name: 'u' },
    ])
  })

  test('names with the namespace of the manifests are told', () => {
    const text = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: {}
---
apiVersion: v1
kind: ConfigMap
metadata: { name: c, namespace: shop }
data: { a: 'http://web.shop:80/', b: 'web.shop.svc.cluster.local', c: 'web.shops web.shop.example.org my-web.shop' }
`
    expect(apply(text).warnings.map(({ message }) => message)).toEqual([
      'web.shop leads nowhere here: the namespace is devstack-shop-x',
      'web.shop leads nowhere here: the namespace is devstack-shop-x',
    ])
    expect(apply(text, { namespace: 'shop' }).warnings).toEqual([])
  })
})

describe('what reaches out of the namespace is refused with its reason', () => {
  const refused = (text: string) => {
    const { objects, problems } = apply(text)
    return [objects.length, ...problems.map(({ message }) => message)]
  }
  const pod = (spec: string) =>
    `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {${spec}, containers: [{name: c, image: i}]}`

  test.each([
    [
      'apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}',
      'ClusterRole r belongs to the whole cluster, which other worktrees share',
    ],
    [
      'apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: r}',
      'MutatingWebhookConfiguration r belongs to the whole cluster, which other worktrees share',
    ],
    [
      'apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: s}',
      'StorageClass s belongs to the whole cluster, which other worktrees share',
    ],
    [
      pod('hostNetwork: true'),
      'Pod p wants the network of the node (hostNetwork), which other worktrees share',
    ],
    [pod('hostPID: true'), 'Pod p wants the processes of the node (hostPID), which other worktrees share'],
    [
      pod('volumes: [{name: v, hostPath: {path: /var/run/docker.sock}}]'),
      'Pod p mounts /var/run/docker.sock of the node, which other worktrees share and which goes with the cluster',
    ],
  ])('%s', (text, message) => {
    expect(refused(text)).toEqual([0, message])
  })

  test('an object of another namespace than the rest', () => {
    const config = (name: string, namespace: string) =>
      `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, namespace: ${namespace}}\n`
    expect(refused(config('a', 'shop') + config('b', 'shop') + config('c', 'kube-system'))).toEqual([
      2,
      'ConfigMap c is in the namespace kube-system, others are in shop',
    ])
  })

  test('but the namespace that the rest is in is only replaced, and lends its labels', () => {
    const own = `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {pod-security.kubernetes.io/enforce: baseline}}\n`
    const { objects, problems, warnings } = apply(own + '---' + API)
    expect(problems).toEqual([])
    expect(warnings.map(({ message }) => message)).toEqual([
      'Namespace shop refuses pods that are not "baseline"; here they run, so that files can be delivered',
    ])
    expect(objects.map(({ object }) => object.kind)).toEqual(['Deployment'])
    const namespace = namespaceObject(parse(own + '---' + API), decide([]))
    expect(namespace.metadata).toEqual({
      name: 'devstack-shop-x',
      labels: {
        'app.kubernetes.io/managed-by': 'devstack',
        'devstack.dev/project': 'shop-x',
        'pod-security.kubernetes.io/warn': 'baseline',
      },
      annotations: { 'devstack.dev/worktree': '/work/shop-x' },
    })
    expect(refused('apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n---' + API)[0]).toBe(1)
  })

  test('a privileged container is told, and left to its owner', () => {
    const { objects, warnings } = apply(
      `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i, securityContext: {privileged: true}}]}`,
    )
    expect(objects).toHaveLength(1)
    expect(warnings.map(({ message }) => message)).toEqual([
      'Pod p runs a privileged container: it can do to this machine what root can',
    ])
  })
})

describe("in a cluster of the team's", () => {
  const team = (text: string) => {
    const objects = parse(text)
    return toApply(objects, decide(objects, { isTeamCluster: true }))
  }

  test.each([
    'apiVersion: networking.k8s.io/v1\nkind: Ingress',
    'apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute',
  ])('%j, which takes requests by their names, is left out', (kind) => {
    const { objects, problems, warnings } = team(
      `${kind}\nmetadata: {name: shop}\nspec: {rules: [{host: shop.example}]}`,
    )
    expect(objects).toEqual([])
    expect(problems).toEqual([])
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining("shop is left out: in a cluster of the team's it would take requests"),
    ])
  })

  test('a privileged container is refused: it is as good as root on the nodes of others', () => {
    const { objects, problems } = team(
      `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i, securityContext: {privileged: true}}]}`,
    )
    expect(objects).toEqual([])
    expect(problems).toMatchObject([
      {
        message: 'Pod p runs a privileged container: it can do to the nodes of the team what root can',
        hint: 'take out privileged',
      },
    ])
  })

  test('what the manifests enforce in their namespace stays, and it says who made it', () => {
    const text = `apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {pod-security.kubernetes.io/enforce: baseline}}\n---${API}`
    const objects = parse(text)
    const made = namespaceObject(objects, { ...decide(objects, { isTeamCluster: true }), owner: 'ada 01' })
    expect(made.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'baseline' })
    expect(made.metadata.annotations).toMatchObject({ 'devstack.dev/owner': 'ada 01' })
    expect(team(text).warnings).toEqual([])
  })
})

test('what others need is applied first', () => {
  const kinds = [
    'apps/v1 Deployment',
    'v1 Service',
    'v1 PersistentVolumeClaim',
    'v1 ConfigMap',
    'v1 ServiceAccount',
  ]
  const text = kinds
    .map((one) => one.split(' '))
    .map(([version = '', kind = '']) => `---\napiVersion: ${version}\nkind: ${kind}\nmetadata: {name: x}\n`)
    .join('')
  expect(apply(text).objects.map(({ object }) => object.kind)).toEqual([
    'ServiceAccount',
    'ConfigMap',
    'PersistentVolumeClaim',
    'Service',
    'Deployment',
  ])
})
