import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../e2e/support.ts'
import { followEvents } from '../../live/events.ts'
import { monotonic } from '../../live/observer.ts'
import { makeSmallShop } from '../../live/small-shop.ts'
import { figure } from '../support.ts'
import { report, samplesOr, sideBySide, until } from './figures.ts'
import { openWatch, runBeside } from './sides.ts'

const SAVES = 30
const APART_MS = 500
const SERVER = ['node', 'node_modules/vite/bin/vite.js']

/** From before `write()` to Vite's message on its websocket, and whether the module is then the new one. */
export async function vite(): Promise<void> {
  const shop = await makeSmallShop()
  await using place = shop.place
  await using _events = await followEvents(place)
  const source = join(place.folder, 'fixtures/shop/web/src')
  const folder = join(place.folder, '../bound')
  await cp(source, folder, { recursive: true })
  const [bindPort, watchPort] = [String(await freePort()), String(await freePort())]
  const mount = ['--mount', `type=bind,source=${folder},target=/app/src`]
  const publish = ['--publish', `127.0.0.1:${bindPort}:5173`]
  await using _bind = await runBeside(
    `${place.name}-bound`,
    `${place.name}-web`,
    [...mount, ...publish],
    SERVER,
  )
  await using watched = await openWatch(place, `${place.name}-web`, {
    watch: [{ action: 'sync', path: 'src', target: '/app/src' }],
    copies: { 'fixtures/shop/web/src': 'src' },
    service: { command: SERVER, ports: [`127.0.0.1:${watchPort}:5173`] },
  })
  const sides = {
    devstack: await joinVite(shop.webAddress, source),
    'bind mount': await joinVite(new URL(`http://127.0.0.1:${bindPort}`), folder),
    'compose watch': await joinVite(new URL(`http://127.0.0.1:${watchPort}`), join(watched.folder, 'src')),
  }
  const times: Record<string, number[]> = { devstack: [], 'bind mount': [], 'compose watch': [] }
  let stale = 0
  let lost = 0
  const saves = samplesOr(SAVES)
  for (let number = 0; number <= saves; number += 1)
    for (const [name, side] of Object.entries(sides)) {
      const mark = `title-${String(number)}`
      const message = side.next()
      const begin = monotonic()
      await writeFile(side.file, shop.files.web.text(mark))
      const at = await message
      if (at === null) lost += 1
      // The first save of each side only warms it up.
      else if (number > 0) times[name]?.push(at - begin)
      if (at !== null && !(await side.module()).includes(mark)) stale += 1
      await until(begin + APART_MS)
    }
  for (const side of Object.values(sides)) side.close()
  const [ours, bound] = [figure(times['devstack'] ?? []), figure(times['bind mount'] ?? [])]
  await report('live-vite', {
    ...sideBySide("save -> Vite's message", times),
    'devstack - bind mount, medians, ms (goal 12)': ours.median - bound.median,
    'messages that did not come within 5 s': lost,
    'old modules after their message': stale,
  })
}

/** A browser's part of Vite's protocol. */
interface Client {
  readonly file: string
  /** When the next message about a module came, or null. */
  next(): Promise<number | null>
  /** The edited module as Vite serves it now. */
  module(): Promise<string>
  close(): void
}

async function joinVite(address: URL, folder: string): Promise<Client> {
  const text = async (path: string): Promise<string> => (await fetch(new URL(path, address))).text()
  await reachable(address)
  const token = /wsToken = "([^"]+)"/.exec(await text('/@vite/client'))?.[1]
  if (token === undefined) throw new Error(`${address.href} tells no token`)
  // A module that nobody asked for has no updates.
  for (const path of ['/src/main.tsx', '/src/App.tsx']) await text(path)
  const socket = new WebSocket(`ws://${address.host}/?token=${token}`, 'vite-hmr')
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true })
    socket.addEventListener('error', () => reject(new Error(`no websocket at ${address.href}`)), {
      once: true,
    })
  })
  let at = 0
  const next = (): Promise<number | null> =>
    new Promise((resolve) => {
      const finish = (value: number | null): void => {
        clearTimeout(timer)
        socket.removeEventListener('message', listen)
        resolve(value)
      }
      const timer = setTimeout(() => finish(null), 5000)
      const listen = (event: MessageEvent): void => {
        const now = monotonic()
        const { type, updates } = JSON.parse(String(event.data)) as Message
        if (type !== 'update' && type !== 'full-reload') return
        at = updates?.[0]?.timestamp ?? 0
        finish(now)
      }
      socket.addEventListener('message', listen)
    })
  return {
    file: join(folder, 'App.tsx'),
    next,
    module: () => text(`/src/App.tsx?t=${String(at)}`),
    close: () => socket.close(),
  }
}

interface Message {
  readonly type: string
  readonly updates?: readonly { readonly path: string; readonly timestamp: number }[]
}

async function reachable(address: URL): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    const there = await fetch(address).then(
      () => true,
      () => false,
    )
    if (there) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${address.href} does not answer`)
}
