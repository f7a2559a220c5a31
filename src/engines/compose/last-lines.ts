import type { Docker } from './docker.js'
import { createFrameReader } from './frames.js'
import { createLineSplitter } from './lines.js'
import type { InspectedContainer } from './observe.js'

/** How many lines a failure is shown with. */
const LAST_LINES = 20

/** The last lines that a container printed, sanitised; none where they cannot be read any more. */
export async function readLastLines(
  docker: Docker,
  container: InspectedContainer,
  signal: AbortSignal,
): Promise<readonly string[]> {
  try {
    const client = (await docker.client()).getContainer(container.Id)
    const buffer = await client.logs({
      stdout: true,
      stderr: true,
      tail: LAST_LINES,
      follow: false,
      abortSignal: signal,
    })
    const lines = createLineSplitter()
    const pieces = container.Config.Tty ? [buffer] : createFrameReader()(buffer).map(({ bytes }) => bytes)
    return [...pieces.flatMap((piece) => lines.write(piece)), ...lines.end()].slice(-LAST_LINES)
  } catch (error) {
    signal.throwIfAborted()
    // Removed meanwhile, or a log driver that cannot be read: the exit code is still told.
    if (error instanceof Error) return []
    throw error
  }
}
