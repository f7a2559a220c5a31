import { DevstackError } from '../../core/error.js'
import type { Progress } from '../../core/events.js'
import type { ImageBuildRequest } from './build.js'
import type { RunProgram } from './run.js'

/**
 * Pulls through the command line program, which knows the credential helpers. Without a terminal it prints a line for
 * each layer that is on its way or done, and no bytes.
 * @throws DevstackError PULL_FAILED
 */
export async function pullImage(ref: string, run: RunProgram, request: ImageBuildRequest): Promise<void> {
  const layers = new Map<string, number>()
  const { exitCode, stderr } = await run({
    argv: ['docker', 'pull', '--', ref],
    signal: request.signal,
    output: (line) => {
      request.output(line)
      const progress = readPullLine(layers, line)
      if (progress !== null) request.progress(progress)
    },
  })
  if (exitCode !== 0) throw pullFailure(ref, stderr.slice(-5).join('\n'))
}

/** How much of a layer each word stands for: fetching takes longer than unpacking. */
const SHARE: Readonly<Record<string, number>> = {
  'Pulling fs layer': 0,
  Waiting: 0,
  'Verifying Checksum': 0.6,
  'Download complete': 0.6,
  'Pull complete': 1,
  'Already exists': 1,
}

/** Takes one line of `docker pull` into account; null where it says nothing new. */
function readPullLine(layers: Map<string, number>, line: string): Progress | null {
  const [, layer, word] = /^([0-9a-f]{12}): (.+)$/.exec(line) ?? []
  const share = SHARE[word ?? '']
  if (layer === undefined || share === undefined) return null
  layers.set(layer, share)
  const shares = [...layers.values()]
  const done = shares.filter((value) => value === 1).length
  const percent = Math.round((shares.reduce((sum, value) => sum + value, 0) / shares.length) * 100)
  const text = share === 1 ? 'unpacking' : 'downloading'
  return { text, step: done, steps: shares.length, percent, bytes: null, totalBytes: null }
}

function pullFailure(ref: string, text: string): DevstackError {
  if (/no space left on device/i.test(text)) {
    return new DevstackError('DISK_FULL', 'the disk is full', {
      cause: `${ref} could not be pulled: ${text}`,
      hint: 'docker system df shows what takes the room',
    })
  }
  return new DevstackError('PULL_FAILED', `the image ${ref} could not be pulled`, {
    cause: text,
    hint: pullHint(text),
  })
}

function pullHint(text: string): string {
  if (/unauthorized|denied|authentication required/i.test(text))
    return 'docker login, or check the name of the image'
  if (/toomanyrequests|rate limit/i.test(text)) return 'docker login raises the limit; or wait and try again'
  if (/manifest unknown|not found/i.test(text)) return 'check the name and the tag of the image'
  return 'check the network and try again; images.source: local in devstack.yaml builds what it can on this machine'
}
