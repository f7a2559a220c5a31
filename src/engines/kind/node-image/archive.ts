import type { Readable } from 'node:stream'
import { DevstackError } from '../../../core/error.js'
import type { Docker } from '../../compose/docker.js'

/** Takes images out of the engine and puts them back. */
export interface ImageArchive {
  /** An image with its name, uncompressed. */
  save(ref: string, signal: AbortSignal): Promise<Readable>
  /** @param file may be compressed: the engine sees that for itself. Rejects with what the engine says. */
  load(file: Readable, signal: AbortSignal): Promise<void>
}

export function createImageArchive(docker: Docker): ImageArchive {
  return {
    async save(ref, signal) {
      signal.throwIfAborted()
      const client = await docker.client()
      return (await client.getImage(ref).get()) as Readable
    },
    async load(file, signal) {
      const client = await docker.client()
      const options = { quiet: true, abortSignal: signal }
      const answer = (await client.loadImage(file, options)) as Readable
      let text = ''
      for await (const chunk of answer) text += String(chunk)
      // It answers 200 before it has read the file: what went wrong stands in the answer.
      const error = /"errorDetail":\s*\{[^}]*"message":\s*"([^"]*)"/.exec(text)?.[1]
      if (error === undefined) return
      if (/no space left/i.test(error)) {
        throw new DevstackError('DISK_FULL', 'the disk is full', {
          cause: `the node image could not be loaded: ${error}`,
          hint: 'docker system df shows what takes the room',
        })
      }
      throw new Error(error)
    },
  }
}
