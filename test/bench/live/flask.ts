import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { docker, freePort } from '../../e2e/support.ts'
import { followEvents } from '../../live/events.ts'
import { monotonic } from '../../live/observer.ts'
import { EDITED, makeSmallShop, type SmallShop } from '../../live/small-shop.ts'
import { report, samplesOr, sideBySide, until } from './figures.ts'
import { answers } from './http.ts'
import { idOf, openWatch, runBeside } from './sides.ts'

const SAVES = 30
const APART_MS = 500
const SERVER = ['flask', '--app', 'wsgi:application', '--debug', 'run', '--host=0.0.0.0']

interface Edited {
  readonly file: string
  readonly url: URL
}

/** From before `write()` to the first answer of the new code: devstack through nginx, the peers without. */
export async function flask(): Promise<void> {
  const shop = await makeSmallShop()
  await using _place = shop.place
  await using _events = await followEvents(shop.place)
  const image = `${shop.place.name}-api`
  const env = await environment(shop)
  await using bind = await bound(shop, image, env)
  await using watched = await composeWatched(shop, image, env)
  const sides: Readonly<Record<string, Edited>> = {
    'devstack, through nginx': { file: shop.files.api.path, url: new URL('/api/mark', shop.address) },
    "bind mount, Flask's own reloader": bind,
    "compose watch, Flask's own reloader": watched,
  }
  const times: Record<string, number[]> = {}
  const lost: Record<string, number> = {}
  const saves = samplesOr(SAVES)
  for (let number = 0; number <= saves; number += 1)
    for (const [name, side] of Object.entries(sides)) {
      const mark = `"${name.slice(0, 4)}-${String(number)}"`
      const begin = monotonic()
      await writeFile(side.file, shop.files.api.text(mark.slice(1, -1)))
      const at = await answers(side.url, mark, 10_000)
      // The first save of each side only warms it up.
      if (number > 0 && at === null) lost[`lost by ${name}`] = (lost[`lost by ${name}`] ?? 0) + 1
      if (number > 0 && at !== null) (times[name] ??= []).push(at - begin)
      await until(begin + APART_MS)
    }
  await report('live-flask', { ...sideBySide('save -> new answer', times), ...lost })
}

/** What the shop's API is given, for a container of its image beside it. */
async function environment(shop: SmallShop): Promise<readonly string[]> {
  const id = await idOf(shop.place, 'api')
  return JSON.parse(await docker('inspect', '--format', '{{json .Config.Env}}', id)) as readonly string[]
}

async function bound(
  shop: SmallShop,
  image: string,
  env: readonly string[],
): Promise<Edited & AsyncDisposable> {
  const port = String(await freePort())
  const folder = join(shop.place.folder, '../bound')
  await cp(join(shop.place.folder, 'fixtures/shop/api/shop'), folder, { recursive: true })
  const options = [
    ...env.flatMap((variable) => ['--env', variable]),
    `--publish=127.0.0.1:${port}:5000`,
    `--mount=type=bind,source=${folder},target=/app/shop`,
  ]
  const container = await runBeside(`${shop.place.name}-bound`, image, options, SERVER)
  return {
    file: join(folder, EDITED.api.replace('fixtures/shop/api/shop/', '')),
    url: new URL(`http://127.0.0.1:${port}/api/mark`),
    [Symbol.asyncDispose]: () => container[Symbol.asyncDispose](),
  }
}

async function composeWatched(
  shop: SmallShop,
  image: string,
  env: readonly string[],
): Promise<Edited & AsyncDisposable> {
  const port = String(await freePort())
  const peer = await openWatch(shop.place, image, {
    watch: [{ action: 'sync', path: 'shop', target: '/app/shop', ignore: ['__pycache__/'] }],
    copies: { 'fixtures/shop/api/shop': 'shop' },
    service: { command: SERVER, environment: env, ports: [`127.0.0.1:${port}:5000`] },
  })
  return {
    file: join(peer.folder, EDITED.api.replace('fixtures/shop/api/', '')),
    url: new URL(`http://127.0.0.1:${port}/api/mark`),
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  }
}
