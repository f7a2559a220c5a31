import { bytes } from './bytes.ts'
import { burst } from './burst.ts'
import { checkout } from './checkout.ts'
import { flask } from './flask.ts'
import { many } from './many.ts'
import { order } from './order.ts'
import { reloads } from './reloads.ts'
import { stale } from './stale.ts'
import { vite } from './vite.ts'

/** What a save costs, and whether one is ever lost. */
export const live: Readonly<Record<string, () => Promise<void>>> = {
  'live-bytes': bytes,
  'live-flask': flask,
  'live-reloads': reloads,
  'live-vite': vite,
  'live-burst': burst,
  'live-checkout': checkout,
  'live-order': order,
  'live-stale': stale,
  'live-many': many,
}
