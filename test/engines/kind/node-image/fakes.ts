import { Readable } from 'node:stream'
import type { EngineImage } from '../../../../src/engines/images/engine.js'
import type { ImageArchive } from '../../../../src/engines/kind/node-image/archive.js'
import { cacheFile } from '../../../../src/engines/kind/node-image/cache.js'
import type { NodeImageParts } from '../../../../src/engines/kind/node-image/parts.js'
import { FakeImageEngine, fakeImage, fakeRecipe, unreachable } from '../../images/fakes.js'

export const REGISTRY_IMAGE = `kindest/node:v1.34.0@sha256:${'a'.repeat(64)}`
export const BUILT_IMAGE = 'devstack/kind-node:0123456789ab'

/** An image as the engine lists it that was pulled by its digest. */
export function pulledImage(): EngineImage {
  return { ...fakeImage('unused'), tags: [], digests: [`kindest/node@sha256:${'a'.repeat(64)}`] }
}

/** An engine whose images are archived as their names. */
class FakeArchive implements ImageArchive {
  /** What is saved of an image. */
  content: () => Readable = () => Readable.from([Buffer.from(BUILT_IMAGE)])
  loaded: Buffer[] = []
  answer: (file: Buffer) => Promise<void> = () => Promise.resolve()

  save(): Promise<Readable> {
    return Promise.resolve(this.content())
  }

  async load(file: Readable): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of file) chunks.push(chunk as Buffer)
    this.loaded.push(Buffer.concat(chunks))
    await this.answer(Buffer.concat(chunks))
  }
}

/** A machine with an engine, a registry that does not answer unless told so, and a cache in a folder of the test. */
export class FakeMachine {
  readonly engine = new FakeImageEngine()
  readonly archive = new FakeArchive()
  readonly done: string[] = []
  registryAnswers = false
  building: (signal: AbortSignal) => Promise<void> = () => Promise.resolve()

  constructor(private readonly cacheFolder: string) {
    this.engine.registry = () =>
      this.registryAnswers ? Promise.resolve() : Promise.reject(unreachable('docker.io'))
    this.archive.answer = () => {
      this.engine.present.push(fakeImage(BUILT_IMAGE))
      return Promise.resolve()
    }
  }

  get file(): string {
    return cacheFile(this.cacheFolder, '0123456789ab')
  }

  get parts(): NodeImageParts {
    const { engine, archive, cacheFolder } = this
    return {
      node: {
        recipe: fakeRecipe('kind-node'),
        ref: BUILT_IMAGE,
        hash: '0123456789ab',
        registryImage: REGISTRY_IMAGE,
        kubernetes: '1.34.4',
      },
      engine,
      archive,
      cacheFolder,
      cacheFile: this.file,
      probe: async (reference, signal) => {
        this.done.push(`asked for ${reference.split('@')[0] ?? ''}`)
        const answers = await engine.inspectDistribution(reference, signal).then(
          () => true,
          () => false,
        )
        return { host: 'docker.io', answers, why: answers ? '' : 'no such host' }
      },
      pull: () => {
        this.done.push('pulled')
        engine.present.push(pulledImage())
        return Promise.resolve()
      },
      build: async (progress, signal) => {
        this.done.push('built')
        progress({ text: 'compiling', step: 1, steps: 9, percent: 1, bytes: null, totalBytes: null })
        await this.building(signal)
        engine.present.push(fakeImage(BUILT_IMAGE))
      },
      tidy: () => {
        this.done.push('tidied')
        return Promise.resolve()
      },
    }
  }
}
