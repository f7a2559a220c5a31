import { randomUUID } from 'node:crypto'
import { execa } from 'execa'
import { expect, it } from 'vitest'
import { runDoctor } from '../../../src/host/doctor/doctor.js'
import { portOwner } from '../../../src/host/doctor/ports.js'

/** The smallest image that has `cat` and `getent`: this machine's own, with the libraries that they load. */
async function tinyImage(): Promise<AsyncDisposable & { readonly ref: string }> {
  const ref = `devstack-doctor-test-${randomUUID().slice(0, 8)}:1`
  const programs = ['/usr/bin/cat', '/usr/bin/getent', '/usr/bin/sleep']
  const { stdout } = await execa('ldd', programs)
  const libraries = [...new Set(stdout.match(/\/\S+\.so\S*/g))]
  await execa(
    'tar',
    ['-c', '--dereference', '-C', '/', ...[...programs, ...libraries].map((path) => path.slice(1))],
    {
      encoding: 'buffer',
    },
  ).pipe('docker', ['import', '-', ref])
  return { ref, [Symbol.asyncDispose]: async () => void (await execa('docker', ['image', 'rm', '-f', ref])) }
}

it('finds the real engine fine, and tries a real container with a mount', async () => {
  await using image = await tinyImage()
  const report = await runDoctor({
    env: process.env,
    signal: new AbortController().signal,
    version: '0.1.0',
    ports: [],
    stackIsUp: false,
    probeRegistry: null,
    probeImage: image.ref,
  })
  const bad = report.checks.filter(({ category, status }) => category === 'engine' && status === 'fail')
  expect(bad).toEqual([])
  const container = report.checks.find(({ name }) => name === 'container')
  expect(container?.message).toContain(`a container of ${image.ref} runs and reads a folder of this machine`)
  const { stdout } = await execa('docker', ['ps', '-aq', '--filter', 'label=dev.devstack.probe'])
  expect(stdout).toBe('')
})

it('names the container that publishes a port', async () => {
  await using image = await tinyImage()
  const name = `devstack-doctor-test-${randomUUID().slice(0, 8)}`
  const options = [
    'run',
    '-d',
    '--rm',
    '--name',
    name,
    '-p',
    '127.0.0.1::80',
    '--entrypoint',
    'sleep',
    image.ref,
    '60',
  ]
  await execa('docker', options)
  try {
    const { stdout } = await execa('docker', ['port', name, '80'])
    const port = Number(stdout.split(':').at(-1))
    expect(await portOwner(port, { env: process.env })).toMatchObject({ container: name })
  } finally {
    await execa('docker', ['rm', '-f', name])
  }
})
