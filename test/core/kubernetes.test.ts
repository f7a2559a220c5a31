import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { projectFromKubernetes } from '../../src/core/kubernetes.js'
import type { KubernetesContext } from '../../src/core/kubernetes.js'
import { readYaml } from '../../src/core/yaml.js'
import type { Path } from '../../src/core/yaml.js'
import { service, watchRule } from './builders.js'

const base: KubernetesContext = {
  name: 'shop',
  engine: 'kind',
  folder: '/shop',
  files: ['/shop/kind/kustomization.yaml'],
  annotations: { dependsOn: 'devstack.dev/depends-on', localPort: 'devstack.dev/local-port' },
}

/** The project of a text of several documents. */
const read = (text: string, more: Partial<KubernetesContext> = {}) =>
  projectFromKubernetes(readYaml(text, 'm.yaml').documents, { ...base, ...more })

/** A workload; `containers` are the lines below that key. */
const workload = (
  kind: string,
  name: string,
  containers: readonly string[],
  more: readonly string[] = [],
) => `---
apiVersion: ${kind === 'Pod' ? 'v1' : kind.endsWith('Job') ? 'batch/v1' : 'apps/v1'}
kind: ${kind}
metadata: { name: ${name} }
spec:
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
${more.map((line) => `      ${line}`).join('\n')}
      containers:
${containers.map((line) => `        ${line}`).join('\n')}
`

const api = workload('Deployment', 'api', ['- { name: main, image: shop-api }'])
const shop = workload('Deployment', 'shop', [
  '- { name: api, image: shop-api, readinessProbe: { tcpSocket: { port: 1 } }, ports: [{ name: uwsgi, containerPort: 3031 }] }',
  '- { name: nginx, image: shop-nginx, ports: [{ name: http, containerPort: 8080 }] }',
])

const annotated = (kind: string, name: string, value: string) =>
  workload(kind, name, ['- { name: c, image: i }']).replace(
    `{ name: ${name} }`,
    `{ name: ${name}, annotations: { devstack.dev/depends-on: ${JSON.stringify(value)} } }`,
  )

const front = (more: string, annotation: string | null = null) => `---
apiVersion: v1
kind: Service
metadata:
  name: front
  annotations: { ${annotation === null ? '' : `devstack.dev/local-port: "${annotation}"`} }
spec: { selector: { app: shop }, ${more} }
`

const messages = ({ problems }: { readonly problems: readonly { readonly message: string }[] }) =>
  problems.map(({ message }) => message)

describe('a service is a container of a workload', () => {
  test('named after the workload where that has one container, else after the container', () => {
    const { project, workloads } = read(api + shop.replaceAll('name: api', 'name: flask'))
    expect(Object.keys(project.services)).toEqual(['api', 'flask', 'nginx'])
    expect(workloads.map(({ name, containers }) => [name, containers])).toEqual([
      ['api', { main: 'api' }],
      ['shop', { flask: 'flask', nginx: 'nginx' }],
    ])
    expect(project.services['flask']?.sharesPodWith).toEqual(['nginx'])
    expect(project.services['api']?.sharesPodWith).toBeUndefined()
  })

  test('where names clash the workload stands before them', () => {
    const other = workload('Deployment', 'other', ['- { name: nginx, image: i }', '- { name: x, image: i }'])
    const { project, problems } = read(api + shop + other)
    expect(problems).toEqual([])
    expect(Object.keys(project.services)).toEqual(['api', 'shop-api', 'shop-nginx', 'other-nginx', 'x'])
  })

  test('two workloads of one name are told apart by their kind, in labels too', () => {
    const job = workload('Job', 'api', ['- { name: main, image: shop-api }'], ['restartPolicy: Never'])
    const { project, workloads } = read(api + job)
    expect(Object.keys(project.services)).toEqual(['api', 'api-job'])
    expect(workloads.map(({ label }) => label)).toEqual(['deployment.api', 'job.api'])
  })

  test('a label holds 63 characters of a longer name, and still tells it apart', () => {
    const long = 'a'.repeat(80)
    const { workloads } = read(
      workload('Deployment', `${long}b`, ['- { name: c, image: i }']) +
        workload('Deployment', `${long}c`, ['- { name: c, image: i }']),
    )
    const labels = workloads.map(({ label }) => label)
    expect(labels.map(({ length }) => length)).toEqual([63, 63])
    expect(new Set(labels).size).toBe(2)
  })

  test('what a foreign kind of the same word holds is no workload', () => {
    expect(Object.keys(read(api.replace('apps/v1', 'example.org/v1')).project.services)).toEqual([])
  })

  test('a sidecar is a service, an init container that ends is none', () => {
    const { project } = read(
      workload(
        'Job',
        'migrate',
        ['- { name: migrate, image: i }'],
        [
          'restartPolicy: Never',
          'initContainers:',
          '  - { name: wait, image: i }',
          '  - { name: proxy, image: p, restartPolicy: Always }',
        ],
      ),
    )
    expect(
      Object.values(project.services).map(({ name, oneShot, restarts }) => [name, oneShot, restarts]),
    ).toEqual([
      ['migrate', true, false],
      ['proxy', false, true],
    ])
  })

  test.each([
    ['Deployment', '', { oneShot: false, restarts: true, replicas: 3 }],
    ['StatefulSet', '', { oneShot: false, restarts: true, replicas: 3 }],
    ['DaemonSet', '', { oneShot: false, restarts: true, replicas: 1 }],
    ['Job', 'restartPolicy: OnFailure', { oneShot: true, restarts: true, replicas: 1 }],
    ['Job', 'restartPolicy: Never', { oneShot: true, restarts: false, replicas: 1 }],
  ])('of a %s %s', (kind, policy, expected) => {
    const text = workload(kind, 'x', ['- { name: x, image: i }'], [policy]).replace(
      'spec:\n',
      'spec:\n  replicas: 3\n',
    )
    expect(read(text).project.services['x']).toMatchObject(expected)
  })

  test.each([
    ['Always', { oneShot: false, restarts: true }],
    ['OnFailure', { oneShot: true, restarts: true }],
    ['Never', { oneShot: true, restarts: false }],
  ])('of a bare pod with the policy %s', (policy, expected) => {
    const text = `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {restartPolicy: ${policy}, containers: [{name: c, image: i}]}`
    expect(read(text).project.services['p']).toMatchObject({ ...expected, replicas: 1 })
  })

  test.each(['ports: [{containerPort: 80}]', 'readinessProbe: {tcpSocket: {port: 80}}'])(
    'a bare pod that serves (%s) is expected to go on, whatever its policy',
    (serves) => {
      const text = `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {restartPolicy: Never, containers: [{name: c, image: i, ${serves}}]}`
      expect(read(text).project.services['p']).toMatchObject({ oneShot: false, restarts: false })
    },
  )

  test('a policy that is no text throws nothing', () => {
    const text = `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {restartPolicy: {a: b}, containers: [{name: c, image: i}]}`
    expect(read(text).project.services['p']).toMatchObject({ oneShot: false })
  })

  test('a CronJob is no service, and is told', () => {
    const text = `apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: i}]}}}}}`
    const { project, warnings } = read(text)
    expect(project.services).toEqual({})
    expect(warnings.map(({ message }) => message)).toEqual([
      'CronJob nightly is there, but suspended: nothing runs by the clock',
    ])
  })

  test('a probe of its own makes it one with a health check', () => {
    const { project } = read(shop)
    expect(project.services['api']?.hasHealthCheck).toBe(true)
    expect(project.services['nginx']?.hasHealthCheck).toBe(false)
  })

  test('its place is the container', () => {
    const { project } = read(shop, {
      locate: (_, path) => ({ file: path.join('.'), line: 1, column: 1 }),
    })
    expect(project.services['nginx']?.at?.file).toBe('spec.template.spec.containers.1')
  })

  test('the image after the choice is the one it runs', () => {
    const { project } = read(shop, { images: { 'shop-api': 'shop-api:ds-1' }, configHashes: { api: 'h' } })
    expect(project.services['api']).toMatchObject({ image: 'shop-api:ds-1', configHash: 'h' })
    expect(project.services['nginx']).toMatchObject({ image: 'shop-nginx', configHash: '' })
  })

  test.each([
    [
      workload('Deployment', 'x', ['- { name: "a b", image: i }']),
      'Deployment x has a container with the name "a b"',
    ],
    [workload('Deployment', 'x', ['- { image: i }']), 'Deployment x has a container without a name'],
    [
      workload('Deployment', 'x', ['- { name: a, image: i }', '- { name: a, image: i }']),
      'Deployment x has two containers "a"',
    ],
    [workload('Deployment', 'x', ['- { name: a }']), 'the container of x has no image'],
    [
      api.replace('labels: { app: api }', 'labels: { app: apj }'),
      'the selector of Deployment api does not fit its own pods',
    ],
  ])('what makes no sense is a problem (%#)', (text, message) => {
    expect(messages(read(text))).toContain(message)
  })
})

describe('what the Compose project of the same folder lends', () => {
  const build = {
    context: '/shop/api',
    dockerfile: '/shop/api/Dockerfile',
    target: 'dev',
    args: {},
    hash: 'h',
  }
  const rule = watchRule('sync', '/shop/api/src', '/app/src')
  const compose = {
    api: service('api', [], {
      image: 'shop-api',
      build,
      watch: [rule],
      preset: 'flask',
      binds: [{ source: '/shop', target: '/x' }],
    }),
  }

  test('build, rules and preset go to the service of its name; binds do not', () => {
    expect(read(shop, { compose }).project.services['api']).toMatchObject({
      build,
      watch: [rule],
      preset: 'flask',
      binds: [],
    })
  })

  test('a service of another name that runs the image is built too, but not watched', () => {
    const { project } = read(workload('Deployment', 'worker', ['- { name: w, image: shop-api }']), {
      compose,
    })
    expect(project.services['worker']).toMatchObject({ build, watch: [], preset: null })
  })

  test('rules of devstack.yaml come to them, each once', () => {
    const watch = {
      api: [
        { action: 'sync', path: 'api/src', target: '/app/src' },
        { action: 'rebuild', path: 'api/requirements.txt' },
      ],
    }
    const { project } = read(shop, { compose, watch, presets: { api: 'react' } })
    expect(project.services['api']?.watch.map(({ action, path }) => [action, path])).toEqual([
      ['sync', '/shop/api/src'],
      ['rebuild', '/shop/api/requirements.txt'],
    ])
    expect(project.services['api']?.preset).toBe('react')
  })

  test("a preset's rules are for services that have none", () => {
    const presetWatch = {
      api: [{ action: 'rebuild', path: '/shop/p' }],
      nginx: [{ action: 'rebuild', path: '/shop/p' }],
    }
    const { project } = read(shop, { compose, presetWatch })
    expect(project.services['api']?.watch).toEqual([rule])
    expect(project.services['nginx']?.watch).toMatchObject([{ action: 'rebuild', path: '/shop/p' }])
  })

  test('a rule for what a ConfigMap holds is told and left out', () => {
    const text = workload(
      'Deployment',
      'api',
      ['- { name: api, image: i, volumeMounts: [{ name: conf, mountPath: /app/src }] }'],
      ['volumes: [{ name: conf, configMap: { name: conf, optional: true } }]'],
    )
    const { project, warnings } = read(text, { compose })
    expect(project.services['api']?.watch).toEqual([])
    expect(warnings.map(({ message }) => message)).toEqual([
      'sync to /app/src does nothing for api: Deployment api mounts the volume "conf" there',
    ])
  })

  test('a name in devstack.yaml that neither has is a problem', () => {
    const { problems } = read(shop, {
      compose: { web: service('web') },
      presets: { web: 'react', ngimx: 'nginx' },
    })
    expect(problems).toEqual([
      { message: 'devstack.yaml names the unknown service "ngimx"', at: null, hint: 'did you mean "nginx"?' },
    ])
  })
})

describe('what it depends on', () => {
  const db = workload('StatefulSet', 'db', ['- { name: db, image: i }'])
  const job = workload('Job', 'migrate', ['- { name: m, image: i }'], ['restartPolicy: Never'])
  const needs = (value: string) => {
    const { project, problems } = read(annotated('Deployment', 'web', value) + db + job + shop)
    return { dependsOn: project.services['web']?.dependsOn, problems }
  }

  test.each([
    ['{"db": "service_healthy"}', [{ service: 'db', condition: 'service_healthy', required: true }]],
    ['["db"]', [{ service: 'db', condition: 'service_started', required: true }]],
    [
      '{"migrate": {"condition": "service_completed_successfully", "required": false}}',
      [{ service: 'migrate', condition: 'service_completed_successfully', required: false }],
    ],
    ['{"gone": {"required": false}}', []],
    [
      '{"shop": "service_started"}',
      [
        { service: 'api', condition: 'service_started', required: true },
        { service: 'nginx', condition: 'service_started', required: true },
      ],
    ],
  ])('is read from its annotation: %s', (value, expected) => {
    expect(needs(value)).toEqual({ dependsOn: expected, problems: [] })
  })

  test.each([
    ['db', 'Deployment web: what it depends on is not JSON', `write it as '{"postgres": "service_healthy"}'`],
    ['{"dv": "service_healthy"}', 'Deployment web depends on the unknown service "dv"', 'did you mean "db"?'],
    [
      '{"db": "service_helthy"}',
      'Deployment web depends on db with the unknown condition "service_helthy"',
      'did you mean "service_healthy"?',
    ],
    [
      '{"web": "service_started"}',
      'Deployment web depends on web, which is in its own pod: the two start together',
      'take it out, or give it a pod of its own',
    ],
    [
      '{"db": "service_completed_successfully"}',
      'Deployment web waits for db to end, but a StatefulSet does not',
      'wait for service_healthy, or make it a Job',
    ],
    ['[{"toString": 1}]', 'Deployment web depends on the unknown service "{"toString":1}"', null],
  ])('is a problem where it makes no sense: %s', (value, message, hint) => {
    const { dependsOn, problems } = needs(value)
    expect(dependsOn).toEqual([])
    expect(problems).toMatchObject([hint === null ? { message } : { message, hint }])
  })

  test('workloads that wait for each other are told once', () => {
    const text = annotated('Deployment', 'a', '["b"]') + annotated('Deployment', 'b', '["a"]')
    expect(messages(read(text))).toEqual(['workloads wait for each other: a -> b -> a'])
  })
})

describe('addresses on this machine', () => {
  const ports = (text: string) => {
    const { project, problems, warnings } = read(shop + text)
    const found = Object.values(project.services).flatMap(({ name, ports }) =>
      ports.map((port) => `${name} ${String(port.published)}->${String(port.target)}`),
    )
    return [...found, ...[...problems, ...warnings].map(({ message }) => message)]
  }

  test.each([
    ['ports: [{ port: 80 }]', null, []],
    ['ports: [{ port: 80, targetPort: http }]', '9000', ['nginx 9000->8080']],
    ['type: NodePort, ports: [{ port: 80, targetPort: 8080 }]', null, ['nginx 8080->8080']],
    ['type: LoadBalancer, ports: [{ port: 3031 }]', null, ['api 3031->3031']],
    // No container lists it: the first is the likeliest.
    ['type: NodePort, ports: [{ port: 7000 }]', null, ['api 7000->7000']],
    [
      'ports: [{ name: a, port: 1, targetPort: http }, { name: b, port: 2, targetPort: uwsgi }]',
      'b=9001,a=9000',
      ['api 9001->3031', 'nginx 9000->8080'],
    ],
    [
      'ports: [{ port: 80, targetPort: http }]',
      'eighty',
      ['Service front: the local port "eighty" is no port'],
    ],
    [
      'ports: [{ port: 80, targetPort: http }]',
      '99999',
      ['Service front: the local port "99999" is no port'],
    ],
    ['ports: [{ name: x, port: 80 }]', 'y=1', ['Service front has no port "y" for the local port 1']],
    [
      'ports: [{ port: 80, targetPort: htpt }]',
      '80',
      ['Service front leads to the port "htpt", which no container has'],
    ],
    [
      'type: NodePort, ports: [{ port: 53, protocol: UDP }]',
      null,
      ['port 53 of Service front is UDP: only TCP can be forwarded'],
    ],
  ])('of a Service with %s and the annotation %s', (spec, annotation, expected) => {
    expect(ports(front(spec, annotation))).toEqual(expected)
  })

  test('each says which Kubernetes Service and which pods are behind it', () => {
    expect(read(shop + front('ports: [{ port: 80, targetPort: http }]', '9000')).addresses).toEqual([
      {
        from: 'front',
        selector: { app: 'shop' },
        service: 'nginx',
        port: { target: 8080, published: 9000, hostIp: '127.0.0.1', protocol: 'tcp' },
      },
    ])
  })

  test('two Services cannot have the same port', () => {
    const one = front('ports: [{ port: 80, targetPort: http }]', '9000')
    expect(ports(one + one.replace('name: front', 'name: back'))).toEqual([
      'nginx 9000->8080',
      'Service back and Service front both want the local port 9000',
    ])
  })

  test('a Service that selects no pods is a problem with what was meant', () => {
    expect(read(shop + front('ports: []').replace('app: shop', 'app: shpo')).problems).toMatchObject([
      { message: 'Service front leads to no pods: none has app=shpo', hint: 'did you mean "app=shop"?' },
    ])
  })

  test('a Service without a selector has pods of its own elsewhere', () => {
    expect(ports(front('ports: [{ port: 80 }]').replace('selector: { app: shop }', 'x: 1'))).toEqual([])
  })
})

describe('what pods need by name must be there', () => {
  const conf = '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {LEVEL: info}\n'
  const needs = (container: string, ...spec: readonly string[]) =>
    read(conf + workload('Deployment', 'x', [`- { name: c, image: i, ${container} }`], spec)).problems

  test.each([
    ['envFrom: [{ configMapRef: { name: conf } }]'],
    ['envFrom: [{ configMapRef: { name: cnf, optional: true } }]'],
    ['env: [{ name: A, valueFrom: { configMapKeyRef: { name: conf, key: LEVEL } } }]'],
  ])('%s is', (container) => {
    expect(needs(container)).toEqual([])
  })

  test.each([
    [
      'envFrom: [{ configMapRef: { name: cnof } }]',
      [],
      'Deployment x needs the ConfigMap "cnof", which is not there',
      'did you mean "conf"?',
    ],
    [
      'env: [{ name: A, valueFrom: { configMapKeyRef: { name: conf, key: LEVLE } } }]',
      [],
      'Deployment x needs "LEVLE" of the ConfigMap conf, which has no such key',
      'did you mean "LEVEL"?',
    ],
    [
      'tty: false',
      ['volumes: [{ name: v, configMap: { name: conf, items: [{ key: a, path: b }] } }]'],
      'Deployment x needs "a" of the ConfigMap conf, which has no such key',
      'it has LEVEL',
    ],
    [
      'tty: false',
      ['volumes: [{ name: v, secret: { secretName: key } }]'],
      'Deployment x needs the Secret "key", which is not there',
      'add it to the manifests, or mark it as optional',
    ],
    [
      'tty: false',
      ['volumes: [{ name: v, persistentVolumeClaim: { claimName: data } }]'],
      'Deployment x needs the PersistentVolumeClaim "data", which is not there',
      'add it to the manifests, or mark it as optional',
    ],
    [
      'tty: false',
      ['volumes: [{ name: v, projected: { sources: [{ secret: { name: key } }] } }]'],
      'Deployment x needs the Secret "key", which is not there',
      'add it to the manifests, or mark it as optional',
    ],
    [
      'tty: false',
      ['serviceAccountName: reader'],
      'Deployment x needs the ServiceAccount "reader", which is not there',
      'add it to the manifests, or mark it as optional',
    ],
  ])('%s %j is not', (container, spec, message, hint) => {
    expect(needs(container, ...spec)).toEqual([{ message, hint, at: null }])
  })

  test('a claim of a StatefulSet is there for its pods', () => {
    const set = workload('StatefulSet', 'db', ['- { name: c, image: i }']).replace(
      'spec:\n',
      'spec:\n  volumeClaimTemplates: [{ metadata: { name: data } }]\n',
    )
    const using = (claim: string) =>
      workload(
        'Deployment',
        'x',
        ['- { name: c, image: i }'],
        [`volumes: [{ name: v, persistentVolumeClaim: { claimName: ${claim} } }]`],
      )
    expect(messages(read(set + using('data-db-0')))).toEqual([])
    expect(messages(read(set + using('data-db-x')))).toHaveLength(1)
  })
})

// ---- whatever the objects are -------------------------------------------------------------------------------------

const KEYS: readonly string[] = [
  'spec template containers initContainers name image ports containerPort targetPort port selector matchLabels env',
  'envFrom valueFrom configMapKeyRef configMapRef key volumes volumeMounts mountPath configMap secret items metadata',
  'labels annotations data replicas restartPolicy readinessProbe projected sources matchExpressions operator values',
  'devstack.dev/depends-on devstack.dev/local-port __proto__ constructor toString',
].flatMap((line) => line.split(' '))

const leaf = fc.oneof(
  fc.constantFrom(
    'app',
    'a',
    'Always',
    'Never',
    '{"a":"service_healthy"}',
    '["a"]',
    '8080',
    '__proto__',
    'In',
  ),
  fc.integer({ min: -1, max: 9000 }),
  fc.boolean(),
  fc.constant(null),
)

const { tree } = fc.letrec<{ tree: unknown; map: unknown }>((tie) => ({
  map: fc
    .array(fc.tuple(fc.constantFrom(...KEYS), tie('tree')), { maxLength: 5 })
    .map((entries): unknown => Object.fromEntries(entries)),
  tree: fc.oneof({ maxDepth: 7 }, leaf, tie('map'), fc.array(tie('tree'), { maxLength: 3 })),
}))

/** Near enough to real ones to get past the first look. */
const anObject = fc
  .record({
    kind: fc.constantFrom('Deployment', 'Job', 'Pod', 'Service', 'ConfigMap', 'StatefulSet', 'CronJob', 'X'),
    apiVersion: fc.constantFrom('apps/v1', 'v1', 'batch/v1', ''),
    name: fc.constantFrom('a', 'b', '__proto__', 'constructor'),
    spec: tree,
    metadata: fc.dictionary(fc.constantFrom('labels', 'annotations'), tree),
    containers: fc.array(fc.tuple(tree, fc.constantFrom('a', 'b', '__proto__')), { maxLength: 3 }),
  })
  .map(({ kind, apiVersion, name, spec, metadata, containers }) => {
    const pods = {
      containers: containers.map(([more, own]) => ({ image: 'i', ...(more as object), name: own })),
      volumes: spec,
    }
    const template = { metadata: { labels: { app: 'a' }, ...metadata }, spec: pods }
    return {
      kind,
      apiVersion,
      metadata: { ...metadata, name },
      spec:
        kind === 'Pod' ? pods : { ...(spec as object), template, selector: { matchLabels: { app: 'a' } } },
    }
  })

test('nothing is thrown whatever the objects are, and every service has a name of its own', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(anObject, tree), { maxLength: 4 }), (objects) => {
      const { project, workloads, problems } = projectFromKubernetes(objects, base)
      const names = workloads.flatMap(({ services }) => services)
      if (problems.length === 0) expect(Object.keys(project.services)).toHaveLength(names.length)
      for (const [name, one] of Object.entries(project.services)) expect(one.name).toBe(name)
      for (const { services, label } of workloads) {
        expect(services.length).toBeGreaterThan(0)
        expect(label.length).toBeLessThanOrEqual(63)
      }
    }),
    { numRuns: 2000 },
  )
})

test('every problem is asked for its place', () => {
  const asked: Path[] = []
  const locate = (_: unknown, path: Path) => {
    asked.push(path)
    return { file: 'm.yaml', line: 1, column: 1 }
  }
  const { problems } = read(annotated('Deployment', 'web', '["db"]'), { locate })
  expect(problems).toMatchObject([{ at: { file: 'm.yaml' } }])
  expect(asked).toContainEqual(['metadata', 'annotations', 'devstack.dev/depends-on'])
})
