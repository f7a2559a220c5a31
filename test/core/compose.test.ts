import { describe, expect, test } from 'vitest'
import { projectFromCompose } from '../../src/core/compose.js'
import type { ComposeContext, ComposeModel, ComposeService } from '../../src/core/compose.js'

const context: ComposeContext = {
  name: 'shop',
  engine: 'compose',
  folder: '/home/me/shop',
  files: ['/home/me/shop/compose.yaml'],
  configHashes: { api: 'c0ffee' },
  buildHashes: { api: 'b0ba' },
}

const read = (model: ComposeModel, more: Partial<ComposeContext> = {}) =>
  projectFromCompose(model, { ...context, ...more })

const service = (api: ComposeService, others: Readonly<Record<string, ComposeService>> = {}) => {
  const found = read({ services: { api, ...others } }).project.services['api']
  if (found === undefined) throw new Error('no api')
  return found
}

describe('a resolved Compose model becomes a Project', () => {
  test('a whole service', () => {
    const { project, problems, warnings } = read(
      {
        services: {
          api: {
            build: {
              context: '/home/me/shop/api',
              dockerfile: 'Dockerfile',
              target: 'dev',
              args: { A: '1' },
            },
            depends_on: {
              db: { condition: 'service_healthy' },
              migrate: { condition: 'service_completed_successfully', required: false },
            },
            ports: [{ target: 80, published: '8080', host_ip: '127.0.0.1', protocol: 'tcp' }],
            healthcheck: { test: ['CMD', 'true'] },
            restart: 'unless-stopped',
            scale: 2,
            profiles: ['debug'],
            develop: {
              watch: [{ action: 'sync', path: '/home/me/shop/api', target: '/app', ignore: ['*.pyc'] }],
            },
          },
          db: { image: 'postgres:17' },
          migrate: { image: 'shop-api' },
        },
      },
      { locate: (path) => ({ file: 'compose.yaml', line: path.length, column: 3 }) },
    )
    expect([problems, warnings]).toEqual([[], []])
    expect(project.services['api']).toEqual({
      name: 'api',
      image: 'shop-api',
      build: {
        context: '/home/me/shop/api',
        dockerfile: '/home/me/shop/api/Dockerfile',
        target: 'dev',
        args: { A: '1' },
        hash: 'b0ba',
      },
      dependsOn: [
        { service: 'db', condition: 'service_healthy', required: true },
        { service: 'migrate', condition: 'service_completed_successfully', required: false },
      ],
      hasHealthCheck: true,
      oneShot: false,
      ports: [{ target: 80, published: 8080, hostIp: '127.0.0.1', protocol: 'tcp' }],
      watch: [
        {
          action: 'sync',
          path: '/home/me/shop/api',
          target: '/app',
          ignore: ['*.pyc'],
          include: [],
          initialSync: false,
          exec: null,
          at: { file: 'compose.yaml', line: 5, column: 3 },
        },
      ],
      binds: [],
      preset: null,
      profiles: ['debug'],
      restarts: true,
      replicas: 2,
      configHash: 'c0ffee',
      at: { file: 'compose.yaml', line: 2, column: 3 },
    })
    expect(Object.keys(project.services)).toEqual(['api', 'db', 'migrate'])
    expect(project.services['migrate']?.oneShot).toBe(true)
    expect(project.services['db']?.oneShot).toBe(false)
  })

  test('an image choice wins over the written image', () => {
    const model = { services: { api: { image: 'postgres:17' } } }
    const { project } = read(model, { images: { api: 'devstack/postgres:3f2a' } })
    expect(project.services['api']?.image).toBe('devstack/postgres:3f2a')
  })

  test('an inline Dockerfile and a remote context have no path', () => {
    expect(service({ build: { context: '/a', dockerfile_inline: 'FROM x' } }).build?.dockerfile).toBe('')
    expect(service({ build: { context: 'https://a.example/b.git' } }).build?.dockerfile).toBe('Dockerfile')
  })

  test.each([
    ['none is written', {}, false],
    ['it is written', { healthcheck: { test: ['CMD', 'x'] } }, true],
    ['it is a shell line', { healthcheck: { test: 'curl x' } }, true],
    ['it is disabled', { healthcheck: { disable: true } }, false],
    ['its test is NONE', { healthcheck: { test: ['NONE'] } }, false],
    ["only timing is written: the image's own", { healthcheck: {} }, true],
  ] as const)('health check: %s', (_, written, expected) => {
    expect(service(written).hasHealthCheck).toBe(expected)
  })

  test("the image's own health check counts, unless it is disabled", () => {
    const own = { imageHealthChecks: { api: true } }
    expect(read({ services: { api: {} } }, own).project.services['api']?.hasHealthCheck).toBe(true)
    const disabled = { services: { api: { healthcheck: { disable: true } } } }
    expect(read(disabled, own).project.services['api']?.hasHealthCheck).toBe(false)
  })

  test.each([
    [{ scale: 3 }, 3],
    [{ deploy: { replicas: 2 } }, 2],
    [{ deploy: { replicas: 0 } }, 0],
    [{ deploy: { mode: 'global' } }, 1],
    [{}, 1],
  ] as const)('replicas of %j are %d', (written, expected) => {
    expect(service(written).replicas).toBe(expected)
  })

  test.each([
    [{ restart: 'always' }, true],
    [{ restart: 'on-failure:3' }, true],
    [{ restart: 'no' }, false],
    [{}, false],
    [{ deploy: { restart_policy: { condition: 'on-failure' } } }, true],
    [{ deploy: { restart_policy: {} } }, true],
    [{ deploy: { restart_policy: { condition: 'none' } } }, false],
  ] as const)('%j restarts: %s', (written, expected) => {
    expect(service(written).restarts).toBe(expected)
  })

  test('ports that the engine picks have no number', () => {
    const ports = [{ target: 9000 }, { target: 80, published: '8000-8010', protocol: 'udp' }]
    expect(service({ ports }).ports).toEqual([
      { target: 9000, published: null, hostIp: '', protocol: 'tcp' },
      { target: 80, published: null, hostIp: '', protocol: 'udp' },
    ])
  })
})

describe('watch rules', () => {
  test('come from the Compose file, x-devstack and devstack.yaml, each against its own folder', () => {
    const { project, problems } = read(
      {
        services: {
          api: {
            develop: { watch: [{ action: 'rebuild', path: '/home/me/shop/deploy/requirements.txt' }] },
            'x-devstack': { watch: [{ action: 'sync', path: '../api', target: '/app', include: '*.py' }] },
          },
        },
        'x-devstack': { services: { api: { watch: [{ action: 'restart', path: './uwsgi.ini' }] } } },
      },
      {
        projectDirectory: '/home/me/shop/deploy',
        watch: { api: [{ action: 'sync+restart', path: 'conf', target: '/etc/app/' }] },
      },
    )
    expect(problems).toEqual([])
    const rules = project.services['api']?.watch.map(
      ({ action, path, target }) => `${action} ${path} -> ${target}`,
    )
    expect(rules).toEqual([
      'rebuild /home/me/shop/deploy/requirements.txt -> null',
      'sync /home/me/shop/api -> /app',
      'restart /home/me/shop/deploy/uwsgi.ini -> null',
      'sync+restart /home/me/shop/conf -> /etc/app',
    ])
  })

  test('a problem in devstack.yaml is told at its line there, a preset’s rules have no place', () => {
    const { project, problems } = read(
      { services: { api: {} } },
      {
        watch: { api: [{ action: 'sync', path: 'x' }] },
        presetWatch: { api: [{ action: 'sync', path: '/home/me/shop/api', target: '/app' }] },
        locateConfig: (path) => ({ file: 'devstack.yaml', line: 7, column: path.length }),
      },
    )
    expect(problems.map(({ at }) => at)).toEqual([{ file: 'devstack.yaml', line: 7, column: 5 }])
    expect(project.services['api']?.watch.map((rule) => rule.at)).toEqual([null])
  })

  test('the project is its folder, its worktree, the build context and what is mounted', () => {
    const entries = ['/home/me/shop/a', '/repo/b', '/src/api/c', '/data/d', '/etc'].map((path) => ({
      action: 'restart',
      path,
    }))
    const volumes = [{ type: 'bind', source: '/data', target: '/data' }]
    const { project, problems } = read(
      { services: { api: { build: { context: '/src/api' }, volumes, develop: { watch: entries } } } },
      { roots: ['/repo'] },
    )
    expect(problems.map(({ message }) => message)).toEqual([
      'watch rule 5 of api: /etc is outside of the project',
    ])
    expect(project.services['api']?.watch).toHaveLength(4)
    expect(project.services['api']?.binds).toEqual([{ source: '/data', target: '/data' }])
  })

  test('the preset of devstack.yaml is the service’s', () => {
    const { project } = read({ services: { api: {}, db: {} } }, { presets: { api: 'flask' } })
    expect([project.services['api']?.preset, project.services['db']?.preset]).toEqual(['flask', null])
  })

  test('what names a service of no profile is a problem, where all services are known', () => {
    const model = { services: { api: {} }, 'x-devstack': { services: { apo: { watch: [] } } } }
    const watch = { debug: [], wep: [] }
    const { problems } = read(model, { watch, allServices: ['api', 'web', 'debug'] })
    expect(problems.map(({ message, hint }) => `${message}: ${String(hint)}`)).toEqual([
      'x-devstack names the unknown service "apo": did you mean "api"?',
      'devstack.yaml names the unknown service "wep": did you mean "web"?',
    ])
    expect(read(model, { watch }).problems).toEqual([])
  })
})
