import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { DevstackError } from '../../../core/error.js'
import type { Docker } from '../../compose/docker.js'
import { isUnreachable } from '../../compose/docker.js'
import type { RegistryCredentials } from './credentials.js'

export interface Push {
  /** Of the local image. */
  readonly id: string
  /** `registry.team.example/shop/shop-api` */
  readonly repository: string
  readonly tag: string
  readonly credentials: RegistryCredentials | null
}

/** How far the layers are that the registry lacks. */
export interface PushProgress {
  readonly bytes: number
  readonly totalBytes: number
}

/** A line of the engine's answer. */
interface PushLine {
  readonly id?: string
  readonly status?: string
  readonly progressDetail?: { readonly current?: number; readonly total?: number }
  readonly error?: string
}

/**
 * Has the engine push an image under a name in the registry; only layers that the registry lacks travel. The image keeps the name:
 * the engine notes the digest of what it pushed by it.
 * @throws DevstackError OPERATION_FAILED where the registry does not take it
 */
export async function pushImage(
  docker: Docker,
  { id, repository, tag, credentials }: Push,
  tell: (progress: PushProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const name = `${repository}:${tag}`
  try {
    const client = await docker.client()
    await client.getImage(id).tag({ repo: repository, tag, abortSignal: signal })
    const options = { tag, authconfig: credentials ?? {}, abortSignal: signal }
    const answer = (await client.getImage(repository).push(options as object)) as Readable
    await follow(answer, name, tell)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof DevstackError) throw error
    const explained = docker.explain(error, `push ${name}`)
    throw isUnreachable(explained) ? explained : refused(name, messageOf(error))
  }
}

async function follow(answer: Readable, name: string, tell: (progress: PushProgress) => void): Promise<void> {
  const layers = new Map<string, { readonly current: number; readonly total: number }>()
  for await (const line of createInterface({ input: answer })) {
    if (line.trim() === '') continue
    const { id, status, progressDetail, error } = JSON.parse(line) as PushLine
    if (error !== undefined) throw refused(name, error)
    if (id === undefined) continue
    const known = layers.get(id)
    if (status === 'Pushing') {
      const { current = 0, total = current } = progressDetail ?? {}
      layers.set(id, { current, total: Math.max(current, total) })
    } else if (status === 'Pushed' && known !== undefined) {
      layers.set(id, { ...known, current: known.total })
    } else continue
    const sum = [...layers.values()].reduce(
      (all, { current, total }) => ({ bytes: all.bytes + current, totalBytes: all.totalBytes + total }),
      { bytes: 0, totalBytes: 0 },
    )
    tell(sum)
  }
}

function messageOf(error: unknown): string {
  const { json, message } = error as { json?: { message?: string }; message?: string }
  return json?.message ?? message ?? String(error)
}

const NOT_ALLOWED =
  /unauthori[sz]ed|denied|authentication required|no basic auth|forbidden|\b40[13]\b|insufficient_scope/i
const PLAIN_HTTP = /server gave HTTP response to HTTPS client/i
const NOT_TRUSTED = /x509|certificate/i
const FULL = /no space left|quota/i

function refused(name: string, cause: string): DevstackError {
  const host = name.slice(0, name.indexOf('/'))
  return new DevstackError('OPERATION_FAILED', messageFor(host, name, cause), {
    cause: cause.replaceAll(/\s+/g, ' ').trim(),
    hint: hintFor(host, name, cause),
  })
}

function messageFor(host: string, name: string, cause: string): string {
  if (NOT_ALLOWED.test(cause)) return `the registry ${host} does not let you push ${name}`
  if (FULL.test(cause)) return `the registry ${host} has no room for ${name}`
  return `the registry ${host} did not take ${name}`
}

function hintFor(host: string, name: string, cause: string): string {
  if (NOT_ALLOWED.test(cause)) return `docker login ${host}, with an account that may write there`
  if (PLAIN_HTTP.test(cause))
    return `the Docker engine has to know it: insecure-registries of its daemon.json`
  if (NOT_TRUSTED.test(cause)) return `the Docker engine has to trust it: /etc/docker/certs.d/${host}/ca.crt`
  if (FULL.test(cause)) return 'remove old tags there: those of devstack begin with ds-'
  return `see whether this machine reaches ${host}: docker push ${name}`
}
