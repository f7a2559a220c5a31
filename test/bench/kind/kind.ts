import { create } from './create.ts'
import { images } from './images.ts'
import { live } from './live.ts'
import { nodeImage } from './node-image.ts'
import { nothing } from './nothing.ts'
import { rest } from './rest.ts'
import { up } from './up.ts'

/** Those that share the shop's cluster come first; the others begin by removing it. */
export const kind: Readonly<Record<string, () => Promise<void>>> = {
  'kind-up': up,
  'kind-nothing': nothing,
  'kind-live': live,
  'kind-rest': rest,
  'kind-images': images,
  'kind-create': create,
  'kind-node-image': nodeImage,
}
