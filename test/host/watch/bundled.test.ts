import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../..', import.meta.url))

// As scripts/build.js puts them together: the worker is a file of its own beside the one that starts it.
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devstack-bundled-'))
  await build({
    absWorkingDir: root,
    entryPoints: { sources: 'src/host/watch/sources.ts', 'watch-worker': 'src/host/watch/worker.ts' },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    banner: {
      js: "import { createRequire as __make } from 'node:module'; const require = __make(import.meta.url);",
    },
    logLevel: 'silent',
  })
  await writeFile(join(folder, 'driver.js'), DRIVER)
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await chmod(folder, 0o755)
})
afterAll(async () => rm(folder, { recursive: true }))

/** Watches a folder of its own, writes a file in it and prints what it was told. */
const DRIVER = `
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createSources } from './sources.js'
const folder = mkdtempSync('/tmp/devstack-bundled-')
process.on('exit', () => rmSync(folder, { recursive: true }))
for (const name of ['one', 'two', 'three']) mkdirSync(folder + '/' + name)
writeFileSync(folder + '/secret', 'x', { mode: 0 })
mkdirSync(folder + '/closed', { mode: 0 })
const rule = { action: 'sync', path: folder, target: '/app', ignore: [], include: [], initialSync: false, exec: null, at: null }
const service = { name: 'api', watch: [rule], binds: [], build: null }
const sources = createSources()
const controller = new AbortController()
const result = { warnings: [], told: [], refused: {} }
const warn = (message, hint) => result.warnings.push([message, hint])
for await (const { paths } of sources.watch([service], warn, controller.signal)) {
  if (paths.length === 0) writeFileSync(folder + '/three/a.py', 'a')
  else controller.abort()
  result.told.push(...paths.map((path) => path.slice(folder.length)))
}
if (process.env.LIMIT !== undefined) await raiseLimit(process.env.LIMIT)
const { refused } = await sources.scan(service, null, new AbortController().signal)
for (const { path, reason } of refused) result.refused[path.slice(folder.length)] = reason
const named = await sources.scan(service, [folder + '/secret', folder + '/closed/below'], new AbortController().signal)
result.named = named.refused.map(({ path }) => path.slice(folder.length))
chmodSync(folder + '/closed', 0o700)
console.log(JSON.stringify(result))

/** Does as the warning says, and waits until every folder is watched: this one, three in it, and what it lies in. */
async function raiseLimit(limit) {
  const controller = new AbortController()
  for await (const { paths } of sources.watch([service], warn, controller.signal)) {
    if (paths.length > 0) continue
    writeFileSync('/proc/sys/user/' + limit, '1000')
    while (watches() < 5) await new Promise((resolve) => setTimeout(resolve, 50))
    controller.abort()
  }
}

function watches() {
  const texts = readdirSync('/proc/self/fdinfo').map((name) => {
    try {
      return readFileSync('/proc/self/fdinfo/' + name, 'utf8')
    } catch {
      return ''
    }
  })
  return texts.join('').split('inotify wd:').length - 1
}
`

interface Result {
  readonly warnings: readonly (readonly [string, string])[]
  readonly told: readonly string[]
  readonly refused: Readonly<Record<string, string>>
  readonly named: readonly string[]
}

async function drive(program: string, argv: readonly string[], options: object = {}): Promise<Result> {
  const { stdout } = await run(program, argv, { cwd: folder, ...options })
  return JSON.parse(stdout) as Result
}

describe('the worker in the bundle', () => {
  it('watches, and lets the program end by itself', async () => {
    const { told, warnings } = await drive(process.execPath, ['driver.js'])
    expect({ told, warnings }).toEqual({ told: ['/three/a.py'], warnings: [] })
  })

  // Root may read everything: the driver becomes somebody else.
  it.runIf(process.getuid?.() === 0)('refuses by name what the user may not read', async () => {
    const { refused, named } = await drive(process.execPath, ['driver.js'], { uid: 65534, gid: 65534 })
    expect(refused).toEqual({
      '/secret': 'it cannot be read (EACCES)',
      '/closed': 'the folder cannot be read',
    })
    expect(named).toEqual(['/secret', '/closed/below'])
  })
})

/** Whether this machine lets us set limits for a program and nobody else: in a user namespace. */
const canLimit = await run('unshare', ['--user', '--map-root-user', 'true']).then(
  () => true,
  () => false,
)

describe.runIf(canLimit)('where the system allows no more watches', () => {
  it.each([
    ['max_inotify_watches', 2, 'ENOSPC'],
    ['max_inotify_instances', 0, 'EMFILE'],
  ])(
    '(%s = %i) it says so with the setting to change, and looks at the files itself',
    async (limit, value, code) => {
      const script = `echo ${String(value)} > /proc/sys/user/${limit} && exec "$0" driver.js`
      const { told, warnings } = await drive('unshare', [
        '--user',
        '--map-root-user',
        'sh',
        '-c',
        script,
        process.execPath,
      ])
      expect(told).toEqual(['/three/a.py'])
      expect(warnings).toEqual([
        [
          `the system allows no more file watches (${code}): files are looked at every second instead`,
          'sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=1024',
        ],
      ])
    },
  )

  it.each(['max_inotify_watches', 'max_inotify_instances'])(
    'it watches again once %s was raised',
    async (limit) => {
      const script = `echo 0 > /proc/sys/user/${limit} && LIMIT=${limit} exec "$0" driver.js`
      const { told } = await drive('unshare', [
        '--user',
        '--map-root-user',
        'sh',
        '-c',
        script,
        process.execPath,
      ])
      expect(told).toEqual(['/three/a.py'])
    },
  )
})
