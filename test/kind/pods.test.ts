import { describe, expect, it } from 'vitest'
import { base, named, objects, placed, readText, securityOf } from './manifests.js'

// The pods as they are written in kind/, one by one.

const running = placed.filter(({ init, owner }) => !init && owner.kind !== 'Job')

describe('every pod', () => {
  it.each(placed.map((each) => [each.container.name, each] as const))(
    '%s keeps the restricted standard',
    (_name, each) => {
      const security = securityOf(each)
      expect(security).toMatchObject({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      })
      expect(security.capabilities?.add).toBeUndefined()
      expect(security.privileged).toBeUndefined()
      // A number: the kubelet cannot tell from an image's user name whether it is root.
      expect(security.runAsUser).toBeGreaterThan(0)
      expect(security.runAsGroup).toBeGreaterThanOrEqual(0)
      expect(each.pod.hostNetwork).toBeUndefined()
      expect(each.pod.volumes?.every(({ emptyDir }) => emptyDir !== undefined) ?? true).toBe(true)
    },
  )

  it('has no account at the API server, and no variables made of the names of Services', () => {
    for (const { pod, container } of placed) {
      expect(pod.automountServiceAccountToken, container.name).toBe(false)
      expect(pod.enableServiceLinks, container.name).toBe(false)
    }
  })

  it('says what it needs, and where its memory ends', () => {
    for (const { container } of placed) {
      expect(Object.keys(container.resources?.requests ?? {}), container.name).toEqual(['cpu', 'memory'])
      expect(Object.keys(container.resources?.limits ?? {}), container.name).toEqual(['memory'])
    }
  })

  it('runs as the user that its image was made for', () => {
    const made = {
      api: userIn('fixtures/shop/api/Dockerfile'),
      elasticsearch: userIn('compose/images/elasticsearch/Dockerfile'),
      migrate: userIn('fixtures/shop/api/Dockerfile'),
      nginx: userIn('compose/images/nginx/Dockerfile'),
      postgres: userIn('compose/images/postgres/Dockerfile'),
      redis: userIn('compose/images/redis/Dockerfile'),
      wait: userIn('fixtures/shop/api/Dockerfile'),
      web: userIn('compose/images/node/Dockerfile'),
    }
    const users = placed.map((each) => [each.container.name, securityOf(each).runAsUser])
    expect(Object.fromEntries(users)).toEqual(made)
  })

  it('is probed where it goes on running, and is not restarted for what another pod lacks', () => {
    for (const { container } of running) {
      expect(container.startupProbe, container.name).toBeDefined()
      expect(container.readinessProbe, container.name).toBeDefined()
      const { exec, httpGet } = container.livenessProbe ?? {}
      expect(exec?.command, container.name).toEqual(
        container.name === 'api' ? ['/app/bin/healthcheck', 'alive'] : undefined,
      )
      expect(httpGet?.path, container.name).toBe(container.name === 'nginx' ? '/-/healthy' : undefined)
    }
  })

  it('asks no registry for an image that was built here', () => {
    const built = placed.filter(({ container }) => container.image?.startsWith('shop-'))
    expect(built.map(({ container }) => container.name).toSorted()).toEqual([
      'api',
      'migrate',
      'nginx',
      'wait',
      'web',
    ])
    for (const { container } of built) expect(container.imagePullPolicy).toBe('IfNotPresent')
  })
})

function userIn(dockerfile: string): number {
  return Number(/useradd .*--uid (\d+)/.exec(readText(dockerfile))?.[1])
}

describe('the parts', () => {
  it('let nginx and the API meet at a socket in a folder that both mount', () => {
    const [api, nginx] = [named('api'), named('nginx')]
    expect(api.pod).toBe(nginx.pod)
    expect(api.container.volumeMounts).toContainEqual({ name: 'sockets', mountPath: '/run/shop' })
    expect(nginx.container.volumeMounts).toContainEqual({
      name: 'sockets',
      mountPath: '/run/shop',
      readOnly: true,
    })
    expect(api.pod.securityContext?.fsGroup).toBe(securityOf(api).runAsGroup)
  })

  it('keep the data of the three stores in claims that any cluster can fulfil', () => {
    const claims = base.flatMap(({ metadata, spec }) =>
      (spec?.volumeClaimTemplates ?? []).map(({ metadata: { name }, spec: { storageClassName } }) => ({
        store: metadata.name,
        mounted: named(metadata.name).container.volumeMounts?.some((mount) => mount.name === name),
        storageClassName,
      })),
    )
    expect(claims).toEqual(
      ['elasticsearch', 'postgres', 'redis'].map((store) => ({
        store,
        mounted: true,
        storageClassName: undefined,
      })),
    )
  })

  it('are reached by Services that lead to a port of a pod', () => {
    const found = objects.filter(({ kind }) => kind === 'Service')
    expect(found.map(({ metadata }) => metadata.name)).toEqual([
      'elasticsearch',
      'postgres',
      'redis',
      'nginx',
      'web',
    ])
    for (const { metadata, spec } of found) {
      const target = objects.find(
        (object) =>
          object.spec?.template?.metadata?.labels?.['app.kubernetes.io/name'] ===
          spec?.selector?.['app.kubernetes.io/name'],
      )
      const ports = target?.spec?.template?.spec.containers.flatMap(({ ports = [] }) => ports) ?? []
      for (const { port, targetPort } of spec?.ports ?? []) {
        expect(ports, metadata.name).toContainEqual({ name: targetPort, containerPort: port })
      }
    }
  })

  it('select the pods that they make', () => {
    for (const { kind, metadata, spec } of objects) {
      if (spec?.template === undefined || kind === 'Job') continue
      expect(spec.template.metadata?.labels, metadata.name).toMatchObject(spec.selector?.matchLabels ?? {})
    }
  })
})
