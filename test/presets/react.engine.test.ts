import { execa } from 'execa'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engineIsThere } from '../contract/compose-there.js'
import { startLive, type Attached, type LiveProject } from './live-project.ts'

const APP = '/app/src/App.tsx'
const API = '/app/src/api.ts'
const CONFIG = '/app/vite.config.ts'
const PLUGIN = '/app/tools/plugin.ts'
const PROGRAMS = fileURLToPath(new URL('../../src/presets/react', import.meta.url))

describe.skipIf(!(await engineIsThere()))('Vite in its container', () => {
  let project: LiveProject
  let web: Attached

  beforeAll(async () => {
    project = await startLive(['web'])
    web = await project.attach('react', 'web')
    await browse('/src/main.tsx')
  })
  afterAll(async () => project.dispose())

  /** Asks for a module and all that it imports, as a page does. */
  async function browse(url: string, met = new Set<string>()): Promise<void> {
    if (met.has(url)) return
    met.add(url)
    const text = await web.ask(5173, url)
    for (const [, next = ''] of text.matchAll(/from "(\/src\/[^"]+)"|import "(\/src\/[^"]+)"/g)) {
      await browse(next, met)
    }
  }

  test('is found and attached to', () => {
    expect(web.reloader.server).toEqual({ name: 'Vite', reason: null })
    expect(web.reloader.first.type).toBe('taken')
  })

  test('a component is taken up when Vite has named it, and is served anew', async () => {
    const text = await web.read(APP)
    expect(await web.save({ [APP]: `${text}\n// first mark` })).toEqual({
      type: 'taken',
      what: 'update',
      detail: 'Vite named it',
    })
    expect(await web.ask(5173, '/src/App.tsx')).toContain('first mark')
  })

  test('a file that no page uses is taken up all the same', async () => {
    expect(await web.save({ '/app/test/other.ts': '// nobody imports it' })).toEqual({
      type: 'taken',
      what: 'nothing',
      detail: 'no open page uses it',
    })
  })

  test('two saves of one size within an instant are both taken up', async () => {
    const text = await web.read(APP)
    for (const mark of ['// mark a', '// mark b', '// mark c']) {
      expect((await web.save({ [APP]: `${text}\n${mark}` })).type).toBe('taken')
      expect(await web.ask(5173, '/src/App.tsx')).toContain(mark)
    }
  })

  test('a module that only others show is taken up with them', async () => {
    expect((await web.save({ [API]: `${await web.read(API)}\n// mark` })).type).toBe('taken')
    expect(await web.ask(5173, '/src/api.ts')).toContain('// mark')
  })

  test.each([[APP], [API]])(
    'an error in %s is failed at its place, though no page is open; mending it is seen',
    async (file) => {
      const text = await web.read(file)
      const line = text.split('\n').length + 2
      expect(await web.save({ [file]: `${text}\n\nconst = 1` })).toMatchObject({
        type: 'failed',
        place: { file, line, column: 7 },
      })
      expect((await web.save({ [file]: text })).type).toBe('taken')
    },
  )

  test('an import of nothing is failed; the missing file mends it', async () => {
    const text = await web.read(APP)
    expect(await web.save({ [APP]: `import './none'\n${text}` })).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('./none') as string,
      place: { file: APP },
    })
    expect((await web.save({ '/app/src/none.ts': 'export {}' })).type).toBe('taken')
    expect(await web.ask(5173, '/src/App.tsx')).toContain('none.ts')
    await web.save({ [APP]: text })
    expect((await web.remove('/app/src/none.ts')).type).toBe('taken')
  })

  test.each([['/app/index.html'], ['/app/public/favicon.svg']])('the page reloads for %s', async (file) => {
    expect(await web.save({ [file]: `${await web.read(file)}\n` })).toMatchObject({
      type: 'taken',
      what: 'page reload',
    })
  })

  test('Vite restarts for its configuration', async () => {
    const text = await web.read(CONFIG)
    const plugin = "{ name: 'mark', transformIndexHtml: (html) => `${html}<!-- marked -->` }"
    const marked = text.replace('plugins: [react()', `plugins: [react(), ${plugin}`)
    expect(await web.save({ [CONFIG]: marked })).toMatchObject({ type: 'taken', what: 'restart' })
    expect(await web.ask(5173, '/')).toContain('<!-- marked -->')
    expect((await web.save({ [APP]: `${await web.read(APP)}\n// after it` })).type).toBe('taken')
  })

  test('a bad configuration is failed at its place, and Vite goes on with the old one', async () => {
    const text = await web.read(CONFIG)
    const line = text.split('\n').length
    expect(await web.save({ [CONFIG]: `${text}const = 1\n` })).toMatchObject({
      type: 'failed',
      place: { file: CONFIG, line },
    })
    expect(await web.ask(5173, '/')).toContain('id="root"')
    expect(await web.save({ [CONFIG]: text })).toMatchObject({ type: 'taken', what: 'restart' })
  })

  test('what the configuration imports is configuration; what it imports for its types alone is not', async () => {
    const text = await web.read(CONFIG)
    const marked = (mark: string, more = ''): string =>
      `export type Mark = string\nexport const plugin = { name: 'mark', transformIndexHtml: (html: string) => \`\${html}<!-- ${mark} -->\` }\n${more}`
    const imports = "import { plugin } from './tools/plugin'\nimport type { Other } from './tools/types'\n"
    await web.inside('mkdir', '-p', '/app/tools')
    await web.save({ [PLUGIN]: marked('plugin one'), '/app/tools/types.ts': 'export type Other = 1\n' })
    await web.save({ [CONFIG]: imports + text.replace('plugins: [react()', 'plugins: [react(), plugin') })
    expect(await web.ask(5173, '/')).toContain('plugin one')
    expect(await web.save({ [PLUGIN]: marked('plugin two') })).toMatchObject({
      type: 'taken',
      what: 'restart',
      detail: 'Vite restarted for tools/plugin.ts',
    })
    expect(await web.ask(5173, '/')).toContain('plugin two')
    expect(await web.save({ [PLUGIN]: marked('plugin three', 'const = 1\n') })).toMatchObject({
      type: 'failed',
      place: { file: PLUGIN, line: 3 },
    })
    expect(await web.ask(5173, '/')).toContain('plugin two')
    expect((await web.save({ [PLUGIN]: marked('plugin four') })).type).toBe('taken')
    expect(await web.ask(5173, '/')).toContain('plugin four')
    expect(await web.save({ '/app/tools/types.ts': 'export type Other = 2\n' })).toMatchObject({
      type: 'taken',
      what: 'nothing',
    })
    expect((await web.save({ [CONFIG]: text })).type).toBe('taken')
    expect((await web.remove(PLUGIN, '/app/tools/types.ts')).type).toBe('taken')
  })

  test.each([['/app/postcss.config.mjs'], ['/app/.postcssrc.json'], ['/app/styles/postcss.config.cjs']])(
    '%s asks for a restart',
    async (file) => {
      const name = file.slice('/app/'.length)
      expect(await web.save({ [file]: '' })).toEqual({
        type: 'restart',
        reason: `${name} changed, and Vite reads it only when it starts`,
      })
      await web.inside('rm', file)
    },
  )

  test("nothing is written into the user's own folder: what Vite does not name is unproven there", async () => {
    web.reloader.close()
    await expect.poll(() => web.inside('ls', '-a', '/app')).not.toContain('.devstack')
    const mounted = await project.attach('react', 'web', ['/app'])
    expect((await mounted.save({ [APP]: `${await web.read(APP)}\n// mounted` })).type).toBe('taken')
    expect((await mounted.save({ '/app/test/other.ts': '// nobody imports it still' })).type).toBe('unproven')
    expect(await web.inside('ls', '-a', '/app')).not.toContain('.devstack')
    mounted.reloader.close()
    web = await project.attach('react', 'web')
  })

  test('packages that changed ask for a restart', async () => {
    expect((await web.save({ '/app/package.json': await web.read('/app/package.json') })).type).toBe(
      'restart',
    )
  })

  test('an error that an open page meets is told', async () => {
    await web.save({ [APP]: `${await web.read(APP)}\n// still good` })
    const before = web.changes.length
    await web.inside('sh', '-c', `echo 'const = 1' >> /app/src/format.ts`)
    // A page asks again and again, as it would by its own means.
    await expect
      .poll(async () => {
        await web.ask(5173, '/src/format.ts')
        return web.changes.slice(before).map(({ type }) => type)
      })
      .toContain('failed')
  })

  test('where there is no Vite, whatever is asked is answered with the reason', async () => {
    const words = ['run', '--rm', '-i', '--network', 'none', '-v', `${PROGRAMS}:/react:ro`, 'shop-web']
    const asked = ['{"id":1,"type":"prove","written":["/app/a.ts"]}', '{"id":2,"type":"prove"}', '']
    const { stdout } = await execa('docker', [...words, 'node', '/react/vite-watch.mjs', '{"wait":0}'], {
      input: asked.join('\n'),
    })
    const reason = 'no Vite answers in this container: waited 0 s'
    expect(stdout.split('\n').map((line) => JSON.parse(line) as unknown)).toEqual([
      { type: 'hello', protocol: 1, server: null, reason },
      { id: 1, type: 'unproven', reason },
      { id: 2, type: 'unproven', reason },
    ])
  })

  test('nothing is left behind', async () => {
    web.reloader.close()
    await expect.poll(() => web.inside('ls', '-a', '/app')).not.toContain('.devstack')
  })
})
