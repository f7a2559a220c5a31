import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, makePlace, type Place } from '../e2e/support.ts'

// The three services of the reference stack that are edited, by its own files and rules, without the four that only
// cost time: no page that is asked for here needs a store.
const SMALL = `services:
  api:
    depends_on: !reset {}
    # A store that is not there makes no health.
    healthcheck: { test: [CMD, test, -S, /run/shop/api.sock] }
  elasticsearch: !reset {}
  migrate: !reset {}
  postgres: !reset {}
  redis: !reset {}
  web:
    ports: ['127.0.0.1:\${WEB_PORT}:5173']
`

// Answers with a constant, so that one knows by the answer which source runs.
const MARK = `

MARK = "first"


@boom.get("/mark")
def mark() -> dict[str, str]:
    return {"mark": MARK}
`

/** Files of the small shop that an edit of one word changes, each in the folder of its service. */
export const EDITED = {
  api: 'fixtures/shop/api/shop/blueprints/boom.py',
  web: 'fixtures/shop/web/src/App.tsx',
  nginx: 'compose/nginx/api.conf',
} as const

/** Where those files are in the containers. */
export const DELIVERED = {
  api: '/app/shop/blueprints/boom.py',
  web: '/app/src/App.tsx',
  nginx: '/etc/nginx/shop/api.conf',
} as const

/** One edit: the whole text of a service's file with `mark` in it. */
export interface Marked {
  readonly path: string
  text(mark: string): string
}

export interface SmallShop {
  readonly place: Place
  readonly address: URL
  /** Vite's own, without nginx. */
  readonly webAddress: URL
  readonly files: Readonly<Record<keyof typeof EDITED, Marked>>
  /** What each service answers with of its edited file, or null where it does not answer. */
  readonly ask: Readonly<Record<keyof typeof EDITED, () => Promise<string | null>>>
}

/** A copy of nginx, api and web with a project name and ports of its own; not brought up yet. */
export async function makeSmallShop(name?: string): Promise<SmallShop> {
  const port = await freePort()
  const webPort = await freePort()
  const place = await makePlace(
    {
      'compose/small.yaml': SMALL,
    },
    {
      copies: ['compose', 'fixtures', 'devstack.yaml'],
      env: { NGINX_PORT: String(port), WEB_PORT: String(webPort) },
      ...(name === undefined ? {} : { name }),
    },
  )
  const config = await place.read('devstack.yaml')
  await place.write(
    'devstack.yaml',
    config
      .replace(/^name: .*$/m, `name: ${place.name}`)
      .replace(/^compose: .*$/m, 'compose: [compose/compose.yaml, compose/small.yaml]'),
  )
  await appendFile(join(place.folder, EDITED.api), MARK)
  const files = {
    api: await marked(place, EDITED.api, /^MARK = ".*"$/m, (mark) => `MARK = "${mark}"`),
    web: await marked(place, EDITED.web, /^const TITLE = '.*'$/m, (mark) => `const TITLE = '${mark}'`),
    nginx: await marked(
      place,
      EDITED.nginx,
      /"there is nothing here"/,
      (mark) => `"there is nothing here: ${mark}"`,
    ),
  }
  const address = new URL(`http://127.0.0.1:${String(port)}`)
  const webAddress = new URL(`http://127.0.0.1:${String(webPort)}`)
  return { place, address, webAddress, files, ask: questions(address) }
}

/** A mark as it stands in an answer of `web` or `nginx`. */
const MARKS = { web: /const TITLE = ["'](.*?)["']/, nginx: /nothing here: (.*?)"/ } as const

function questions(address: URL): SmallShop['ask'] {
  const text = async (path: string): Promise<string | null> => {
    try {
      const response = await fetch(new URL(path, address), { signal: AbortSignal.timeout(10_000) })
      return await response.text()
    } catch {
      return null
    }
  }
  return {
    api: async () => {
      const body = await text('/api/mark')
      return body?.startsWith('{"mark"') === true
        ? (JSON.parse(body) as { readonly mark: string }).mark
        : null
    },
    web: async () => MARKS.web.exec((await text('/src/App.tsx')) ?? '')?.[1] ?? null,
    nginx: async () => MARKS.nginx.exec((await text('/api')) ?? '')?.[1] ?? null,
  }
}

async function marked(
  place: Place,
  file: string,
  pattern: RegExp,
  line: (mark: string) => string,
): Promise<Marked> {
  const path = join(place.folder, file)
  const original = await readFile(path, 'utf8')
  if (!pattern.test(original)) throw new Error(`${file} has nothing like ${String(pattern)}`)
  return { path, text: (mark) => original.replace(pattern, line(mark)) }
}

/** Saves a file in place, as most programs do. */
export async function save(file: Marked, mark: string): Promise<void> {
  await writeFile(file.path, file.text(mark))
}
