import { expect, it } from 'vitest'
import { onEngine } from './on-engine.js'
import { idle, makePlace } from './support.js'

// What fails is named with its last lines; what does not depend on it goes on.

onEngine('a service that fails', () => {
  it('to build: its step and last lines are shown, the others go on, exit 1', async () => {
    await using place = await makePlace({
      'compose.yaml': `services:
  good:${idle()}
  bad:
    build: ./bad
  needsbad:${idle('\n    depends_on: [bad]')}
`,
      'bad/Dockerfile': 'FROM debian:trixie\nRUN echo the reason is here >&2 && exit 7\n',
    })
    const ended = await place.devstack(['up', '--detach'])
    expect(ended.code).toBe(1)
    expect(ended.all).toContain('RUN echo the reason is here')
    expect(ended.all).toMatch(/cause: the reason is here \(exit code: 7\)/)
    expect(await place.containers()).toMatchObject([{ service: 'good', state: 'running' }])
  })

  it('at once: exit code and last log lines are shown', async () => {
    await using place = await makePlace({
      'compose.yaml': `services:
  good:${idle()}
  dies:
    image: debian:trixie
    command: [sh, -c, 'echo my last words; exit 3']
`,
    })
    const ended = await place.devstack(['up', '--detach'])
    expect(ended.code).toBe(1)
    expect(ended.all).toMatch(/dies.*exited 3/)
    expect(ended.all).toContain('my last words')
    const status = await place.devstack(['status', '--json'])
    expect(JSON.parse(status.stdout)).toMatchObject({
      services: [
        { name: 'dies', phase: 'failed', cause: 'exited 3' },
        { name: 'good', phase: 'running', cause: null },
      ],
    })
    expect(status.code).toBe(1)
  })

  it('over and over: the restarts are no reason to wait for ever', async () => {
    await using place = await makePlace({
      'compose.yaml': `services:
  loops:
    image: debian:trixie
    restart: always
    command: [sh, -c, 'echo again; exit 5']
`,
    })
    const ended = await place.devstack(['up', '--detach'])
    expect(ended.code).toBe(1)
    expect(ended.all).toMatch(/loops.*exited 5/)
    expect(ended.seconds).toBeLessThan(60)
  })

  it('its health check: the check and its last output are named, dependants are not started', async () => {
    await using place = await makePlace({
      'compose.yaml': `services:
  sick:
    image: debian:trixie
    init: true
    command: [sleep, infinity]
    stop_grace_period: 1s
    healthcheck: { test: [CMD-SHELL, 'echo no answer from the port; exit 1'], interval: 200ms, retries: 3 }
  after:${idle('\n    depends_on: { sick: { condition: service_healthy } }')}
  last:${idle('\n    depends_on: { after: { condition: service_started } }')}
`,
    })
    const ended = await place.devstack(['up', '--detach'])
    expect(ended.code).toBe(1)
    expect(ended.all).toMatch(/sick.*health check/)
    expect(ended.all).toContain('no answer from the port')
    expect(ended.all).toMatch(/after: cannot start: sick/)
    const states = (await place.containers()).map(({ service, state }) => `${service} ${state}`)
    expect(states).toEqual(['after created', 'last created', 'sick running'])
  })

  it('for want of memory: that is said', async () => {
    await using place = await makePlace({
      'compose.yaml': `services:
  hungry:
    image: debian:trixie
    mem_limit: 16m
    memswap_limit: 16m
    command: [sh, -c, 'echo eating; x=$$(head -c 200m /dev/zero | tr "\\0" x); echo never']
`,
    })
    const ended = await place.devstack(['up', '--detach'])
    expect(ended.code).toBe(1)
    expect(ended.all).toMatch(/hungry.*out of memory/)
  })
})

onEngine('hostile log lines', () => {
  it('move no cursor, set no title, and are valid text in every renderer', async () => {
    await using place = await makePlace({
      'compose.yaml': `services:
  loud:${idle()}
    entrypoint: [sh, -c, 'printf "\\\\033[2J\\\\033]0;title\\\\007\\\\033]52;c;aGk=\\\\007plain \\\\377\\\\376 end\\\\r\\\\n\\\\233A\\\\n"; exec sleep infinity']
`,
    })
    const up = await place.devstack(['up', '--detach'])
    expect(up.code).toBe(0)
    const logs = await place.devstack(['logs'])
    expect(logs.all).toContain('plain')
    for (const { all } of [up, logs]) {
      // eslint-disable-next-line no-control-regex
      expect(all).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
      expect(all).toContain('\uFFFD')
    }
  })
})
