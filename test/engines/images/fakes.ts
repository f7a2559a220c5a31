import type { EngineImage, ImageEngine } from '../../../src/engines/images/engine.js'
import type { ProgramOutcome, ProgramRequest, RunProgram } from '../../../src/engines/images/run.js'
import type { Recipe } from '../../../src/engines/images/recipes.js'

/** An engine with images in memory and a registry whose answer is scripted by host or reference. */
export class FakeImageEngine implements ImageEngine {
  readonly asked: string[] = []
  readonly removed: string[] = []
  used: ReadonlySet<string> = new Set()
  registry: (reference: string) => Promise<void> = () => Promise.resolve()
  removal: (reference: string) => Error | null = () => null

  constructor(public present: EngineImage[] = []) {}

  images(): Promise<readonly EngineImage[]> {
    return Promise.resolve(this.present)
  }

  async inspectDistribution(reference: string, signal: AbortSignal): Promise<void> {
    this.asked.push(reference)
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error)
      })
    })
    await Promise.race([this.registry(reference), aborted])
  }

  usedImageIds(): Promise<ReadonlySet<string>> {
    return Promise.resolve(this.used)
  }

  removeImage(reference: string): Promise<void> {
    const error = this.removal(reference)
    if (error !== null) return Promise.reject(error)
    this.removed.push(reference)
    return Promise.resolve()
  }
}

/** What the engine says when it cannot reach a registry. */
export function unreachable(host: string): Error {
  const text = `Get "https://${host}/v2/": dial tcp: lookup ${host}: no such host`
  return Object.assign(new Error(`(HTTP code 500) server error - ${text} `), { statusCode: 500 })
}

export function fakeImage(tag: string, labels: Readonly<Record<string, string>> = {}): EngineImage {
  return { id: `sha256:${tag}`, tags: [tag], digests: [], labels, size: 1000 }
}

export function fakeRecipe(name: string, changes: Partial<Recipe> = {}): Recipe {
  return {
    name,
    family: 'debian-trixie',
    major: '1',
    kind: 'dockerfile',
    upstream: [name],
    base: 'base',
    folder: `/recipes/${name}`,
    hash: 'aaaaaaaaaaaa',
    ref: `devstack/${name}:aaaaaaaaaaaa`,
    trustsHost: false,
    ...changes,
  }
}

/** Programs that answer from a script and remember how they were called. */
export class FakePrograms {
  readonly calls: (readonly string[])[] = []
  running = 0
  mostAtOnce = 0

  constructor(private readonly answer: (request: ProgramRequest) => Promise<Partial<ProgramOutcome>>) {}

  readonly run: RunProgram = async (request) => {
    this.calls.push(request.argv)
    this.running++
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running)
    try {
      request.signal.throwIfAborted()
      return { exitCode: 0, stdout: [], stderr: [], ...(await this.answer(request)) }
    } finally {
      this.running--
    }
  }
}
