import { Agent, request } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isNotFound } from './docker.js'
import type { Docker } from './docker.js'

/** What is at a path of a container. */
export interface FileStat {
  readonly kind: 'folder' | 'link' | 'other'
  /** Where a link leads, as an absolute path in the container; empty for anything else. */
  readonly leadsTo: string
}

/** The engine's archive calls: files of a container, running or not. */
export interface ContainerFiles {
  /** Null where nothing is there. The last part of the path is not followed where it is a link. */
  stat(id: string, path: string, signal: AbortSignal): Promise<FileStat | null>
  /**
   * Unpacks an archive. A folder is never replaced by a file, nor the reverse: the engine would delete what is in it.
   * @param make is called again where a kept connection turned out to be broken
   */
  put(
    id: string,
    path: string,
    make: () => Promise<AsyncIterable<Buffer>>,
    signal: AbortSignal,
  ): Promise<void>
}

const STAT_HEADER = 'x-docker-container-path-stat'
/** Go's bits for a folder and for a symbolic link. */
const [FOLDER, LINK] = [2 ** 31, 2 ** 27]

/** Over connections of its own that are kept open: setting one up costs as much as a small upload. */
export function createContainerFiles(docker: Docker): ContainerFiles {
  if (!docker.endpoint.startsWith('unix://')) return throughClient(docker)
  const socketPath = docker.endpoint.slice('unix://'.length)
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const call = async (
    method: 'HEAD' | 'PUT',
    id: string,
    query: Readonly<Record<string, string>>,
    make: (() => Promise<AsyncIterable<Buffer>>) | null,
    signal: AbortSignal,
  ): Promise<IncomingMessage> => {
    const path = `/containers/${encodeURIComponent(id)}/archive?${new URLSearchParams(query).toString()}`
    const headers = { Host: 'docker', 'Content-Type': 'application/x-tar' }
    const send = async (): Promise<IncomingMessage> =>
      await answerTo(request({ socketPath, path, method, agent, signal, headers }), make)
    try {
      return await send()
    } catch (error) {
      // A connection that was kept open may have died with an engine that restarted.
      if ((error as { reused?: boolean }).reused !== true) throw error
      return await send()
    }
  }
  return {
    async stat(id, path, signal) {
      const answer = await call('HEAD', id, { path }, null, signal)
      answer.resume()
      if (answer.statusCode === 404) return null
      if (answer.statusCode !== 200) throw failure(answer.statusCode, `cannot look at ${path}`)
      return readStat(answer.headers[STAT_HEADER])
    },
    async put(id, path, make, signal) {
      const answer = await call('PUT', id, { path, noOverwriteDirNonDir: 'true' }, make, signal)
      const chunks: Buffer[] = []
      for await (const chunk of answer) chunks.push(chunk as Buffer)
      if (answer.statusCode === 200) return
      throw failure(answer.statusCode, messageOf(Buffer.concat(chunks).toString('utf8')))
    },
  }
}

/** The response, which may come before the whole body is sent: the engine refuses early. */
function answerTo(
  sent: ClientRequest,
  make: (() => Promise<AsyncIterable<Buffer>>) | null,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void =>
      reject(Object.assign(error as Error, { reused: sent.reusedSocket }))
    sent.once('response', resolve)
    sent.on('error', fail)
    if (make === null) sent.end()
    else
      make()
        .then((body) => pipeline(Readable.from(body), sent))
        .catch(fail)
  })
}

function readStat(header: string | readonly string[] | undefined): FileStat {
  const text = Buffer.from(String(header), 'base64').toString('utf8')
  const { mode, linkTarget } = JSON.parse(text) as { readonly mode: number; readonly linkTarget: string }
  // Go's bits lie beyond those that JavaScript's operators reach.
  const has = (bit: number): boolean => Math.floor(mode / bit) % 2 === 1
  return { kind: has(FOLDER) ? 'folder' : has(LINK) ? 'link' : 'other', leadsTo: linkTarget }
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { readonly message?: string }).message ?? text
  } catch {
    return text
  }
}

function failure(statusCode: number | undefined, message: string): Error {
  return Object.assign(new Error(message), { statusCode })
}

/** Engines that are not on this machine: the client library knows TLS and ssh. */
function throughClient(docker: Docker): ContainerFiles {
  const container = async (id: string) => (await docker.client()).getContainer(id)
  return {
    async stat(id, path, abortSignal) {
      try {
        const answer: unknown = await (await container(id)).infoArchive({ path, abortSignal })
        return readStat((answer as IncomingMessage).headers[STAT_HEADER])
      } catch (error) {
        if (isNotFound(error)) return null
        throw error
      }
    },
    async put(id, path, make, abortSignal) {
      const options = { path, noOverwriteDirNonDir: 'true', abortSignal } as const
      await (await container(id)).putArchive(Readable.from(await make()), options)
    },
  }
}
