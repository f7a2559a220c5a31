import { request } from 'node:http'

/** Where the tests look for the engine. */
export const ENDPOINT = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock'

/**
 * Whether a Docker engine answers.
 * @throws where none does and DEVSTACK_ENGINES says that one must
 */
export async function engineIsThere(): Promise<boolean> {
  const there = await ping(ENDPOINT.replace(/^unix:\/\//, ''))
  const needed = (process.env['DEVSTACK_ENGINES'] ?? '').split(',').includes('compose')
  if (!there && needed) throw new Error(`DEVSTACK_ENGINES=compose, but no engine answers at ${ENDPOINT}`)
  return there
}

function ping(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request({ socketPath, path: '/_ping', timeout: 2000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    sent.on('error', () => resolve(false))
    sent.on('timeout', () => sent.destroy())
    sent.end()
  })
}
