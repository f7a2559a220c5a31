import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BareMachine } from './machine.js'

const node = 'node_modules/.bin/node'

/** Asks for a page inside the machine, by the Node that devstack brought. */
const ask = `
const [address] = process.argv.slice(1)
const answer = await fetch(address)
console.log(JSON.stringify({ status: answer.status, type: answer.headers.get('content-type'), body: await answer.text() }))
`

describe('a machine of nothing but Debian 12', () => {
  let machine: BareMachine

  beforeAll(async () => {
    machine = await BareMachine.start()
  })

  afterAll(async () => {
    await machine?.[Symbol.asyncDispose]()
  })

  async function fetchInside(address: string) {
    const { stdout } = await machine.run([node, '--input-type=module', '-e', ask, '--', address])
    return JSON.parse(stdout) as { readonly status: number; readonly type: string; readonly body: string }
  }

  it('without consent says what it would install, at once, and installs nothing', async () => {
    const { exitCode, stderr, seconds } = await machine.run(['./devstack', 'up'])
    expect(exitCode).toBe(3)
    expect(stderr).toContain(
      'sudo apt-get update && sudo apt-get install --no-install-recommends python3-pip',
    )
    expect(seconds).toBeLessThan(10)
  })

  it('comes to the page by the first command of the README', { timeout: 900_000 }, async () => {
    const before = await machine.run(['find', '/etc/apt', '-type', 'f'])
    const { exitCode, stderr, seconds } = await machine.run(
      ['./devstack', 'up', '--detach', '--ui', 'plain'],
      { CI: 'true' },
    )
    expect(exitCode).toBe(0)
    for (const stage of [
      'installing python3-pip',
      'bringing Node 24',
      'installing the dependencies',
      'building',
      'installing docker.io',
      'starting the Docker engine',
    ]) {
      expect(stderr).toMatch(new RegExp(`${stage}.*: \\d+\\.\\d s`))
    }
    process.stderr.write(`bare Debian 12 to the page: ${seconds.toFixed(0)} s\n`)
    expect((await machine.run(['find', '/etc/apt', '-type', 'f'])).stdout).toBe(before.stdout)

    const address = (await machine.run(['./devstack', 'open', 'nginx', '--print'])).stdout.trim()
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+/)
    const page = await fetchInside(address)
    expect(page).toMatchObject({ status: 200, type: expect.stringContaining('text/html') as string })
    const health = await fetchInside(new URL('/api/health', address).href)
    expect(health.status).toBe(200)
    expect(JSON.parse(health.body)).toMatchObject({
      status: 'ok',
      postgres: 'ok',
      elasticsearch: 'ok',
      redis: 'ok',
    })
  })

  it('bootstrap then has nothing to do', async () => {
    const { exitCode, stderr } = await machine.run(['./devstack', 'bootstrap'])
    expect(exitCode).toBe(0)
    expect(stderr).not.toMatch(/installing|starting|building/)
  })

  it('goes down without leaving a container', async () => {
    expect((await machine.run(['./devstack', 'down'])).exitCode).toBe(0)
    expect((await machine.run(['docker', 'ps', '--all', '--quiet'])).stdout).toBe('')
  })
})

describe('a machine with Debian 12 and Node 20', () => {
  let machine: BareMachine

  beforeAll(async () => {
    machine = await BareMachine.start({ node: 20 })
  })

  afterAll(async () => {
    await machine?.[Symbol.asyncDispose]()
  })

  it('needs no system package for devstack itself, and so asks nothing', { timeout: 600_000 }, async () => {
    expect((await machine.run(['node', '--version'])).stdout).toMatch(/^v20\./)
    const { exitCode, stdout } = await machine.run(['./devstack', '--version'])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/\d+\.\d+\.\d+/)
    expect((await machine.run([node, '--version'])).stdout).toMatch(/^v24\./)
    expect((await machine.run(['which', 'python3'])).exitCode).not.toBe(0)
  })

  it('runs the tests that need no engine by npm test', { timeout: 600_000 }, async () => {
    const { exitCode } = await machine.run(['npm', 'test', '--', 'test/core'])
    expect(exitCode).toBe(0)
  })
})
