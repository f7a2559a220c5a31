import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'

const repository = fileURLToPath(new URL('../../', import.meta.url))
const fakes = join(repository, 'test/fakes/bin')

/** The programs that the launcher may use; everything else is absent, Node first of all. */
const utilities = (
  'sh dirname readlink find xargs cksum sort date mktemp rm mv cp ln mkdir touch cat tail sed grep flock ' +
  'uname sleep env ls kill chmod'
).split(' ')

const build = `import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
appendFileSync(process.env.FAKE_LOG, 'build\\n')
const source = readFileSync('src/main.ts', 'utf8').trim()
if (source === 'broken') throw new Error('src/main.ts:1:1: this does not build')
mkdirSync('dist', { recursive: true })
writeFileSync('dist/main.js', \`console.log(JSON.stringify({ argv: process.argv.slice(2), source: '\${source}', cwd: process.cwd(), path: process.env.PATH }))\`)
`

export interface Result {
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  readonly stderr: string
  /** What dist/main.js printed, or null where it was not reached. */
  readonly main: {
    readonly argv: string[]
    readonly source: string
    readonly cwd: string
    readonly path: string
  } | null
}

/** A small clone of this repository in a folder of its own: the real launcher, a source of one line, fake registries. */
export class Checkout {
  readonly folder = mkdtempSync(join(tmpdir(), 'devstack-launcher-'))
  readonly root = join(this.folder, 'clone of it')
  readonly bin = join(this.folder, 'bin')
  readonly cache = join(this.folder, 'cache')
  readonly #log = join(this.folder, 'log')

  constructor() {
    mkdirSync(join(this.root, 'src'), { recursive: true })
    mkdirSync(this.bin)
    for (const path of ['devstack', 'scripts']) {
      cpSync(join(repository, path), join(this.root, path), { recursive: true })
    }
    this.write('scripts/build.js', build)
    this.write('src/main.ts', 'one')
    this.write('package.json', '{ "name": "devstack", "type": "module" }')
    this.write('package-lock.json', '{ "lockfileVersion": 3, "packages": { "": {} } }')
    writeFileSync(this.#log, '')
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.root, path), text)
  }

  /** Puts programs on the PATH: the machine's own utilities, and the fakes that are named. */
  async provide(...names: readonly string[]): Promise<this> {
    for (const name of names) symlinkSync(join(fakes, name), join(this.bin, name))
    const missing = utilities.filter((name) => !names.includes(name))
    const { stdout } = await execa('sh', [
      '-c',
      'for name; do command -v "$name" || echo; done',
      'sh',
      ...missing,
    ])
    stdout.split('\n').forEach((path, index) => {
      if (path.startsWith('/')) symlinkSync(path, join(this.bin, missing[index] ?? ''))
    })
    return this
  }

  /** A Node of this version on the PATH; the real one where no version is given. */
  node(version?: string): this {
    const path = join(this.bin, 'node')
    if (version === undefined) symlinkSync(process.execPath, path)
    else writeFileSync(path, `#!/bin/sh\necho ${version}\n`, { mode: 0o755 })
    return this
  }

  get env(): Record<string, string> {
    return {
      PATH: this.bin,
      HOME: this.folder,
      // What a killed launcher leaves goes with the clone.
      TMPDIR: this.folder,
      XDG_CACHE_HOME: this.cache,
      FAKE_LOG: this.#log,
      FAKE_NODE: process.execPath,
      FAKE_BIN: fakes,
    }
  }

  /** Runs `devstack WORD...` from the folder, without a terminal. */
  async run(
    words: readonly string[] = [],
    env: Record<string, string> = {},
    file = 'devstack',
  ): Promise<Result> {
    const { exitCode, signal, stdout, stderr } = await this.start(words, env, file)
    return { exitCode, signal, stderr, main: stdout === '' ? null : (JSON.parse(stdout) as Result['main']) }
  }

  start(words: readonly string[] = [], env: Record<string, string> = {}, file = 'devstack') {
    const program = file.startsWith('/') ? file : join(this.root, file)
    return execa(program, words, {
      cwd: this.folder,
      env: { ...this.env, ...env },
      extendEnv: false,
      reject: false,
      stdin: 'ignore',
    })
  }

  /** What the fakes and the build were asked, and forgets it. */
  log(): string[] {
    const lines = readFileSync(this.#log, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
    writeFileSync(this.#log, '')
    return lines
  }
}
