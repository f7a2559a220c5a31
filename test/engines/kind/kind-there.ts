import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * A node image that the engine has; null where DEVSTACK_ENGINES asks for no cluster: making some takes minutes.
 * @throws where it does, and kind or a node image is not here
 */
export async function nodeImageThere(): Promise<string | null> {
  if (!(process.env['DEVSTACK_ENGINES'] ?? '').split(',').includes('kind')) return null
  const image = (await output('kind', ['version'])) === null ? null : await findImage()
  if (image === null) throw new Error('DEVSTACK_ENGINES has kind, but kind or a node image is not here')
  return image
}

async function findImage(): Promise<string | null> {
  const wanted = process.env['DEVSTACK_NODE_IMAGE']
  if (wanted !== undefined) return wanted
  const format = ['--format', '{{.Repository}}:{{.Tag}}']
  const own = await output('docker', ['images', 'devstack/kind-node', ...format])
  const upstream = await output('docker', ['images', 'kindest/node', ...format])
  return [own, upstream].flatMap((text) => text?.trim().split('\n') ?? []).find((line) => line !== '') ?? null
}

async function output(program: string, argv: readonly string[]): Promise<string | null> {
  try {
    return (await run(program, argv)).stdout
  } catch {
    return null
  }
}
