import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { spawn } from '@lydell/node-pty'
import type { IPty } from '@lydell/node-pty'
import xterm from '@xterm/headless'
import { build } from 'esbuild'

const FIXTURE = fileURLToPath(new URL('fixture.ts', import.meta.url))

/** The fixture as one program in a folder of its own, bundled as the product is. */
export async function bundleFixture(): Promise<{ readonly program: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-pty-'))
  await build({
    entryPoints: [FIXTURE],
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    jsx: 'automatic',
    external: ['react-devtools-core'],
    banner: { js: "import{createRequire as __r}from'node:module';const require=__r(import.meta.url);" },
    logLevel: 'error',
  })
  return { program: join(folder, 'fixture.mjs'), remove: () => rm(folder, { recursive: true, force: true }) }
}

/** What one key sends. */
export const KEYS = {
  down: '\u001B[B',
  up: '\u001B[A',
  pageUp: '\u001B[5~',
  enter: '\r',
  escape: '\u001B',
  ctrlC: '\u0003',
} as const

/** A program in a pseudo terminal, and what a person would see in it. */
export class PtyTerminal {
  /** All bytes that were written to the terminal. */
  output = ''
  private readonly pty: IPty
  private readonly screenOf: InstanceType<typeof xterm.Terminal>
  private readonly record: string

  /** Runs the fixture below a shell that tells the exit code and the terminal's modes afterwards. */
  constructor(
    program: string,
    args: readonly string[],
    size: { columns: number; rows: number },
    env: Readonly<Record<string, string>> = {},
  ) {
    this.record = join(program, '..', `record-${String(Math.random()).slice(2)}`)
    const inherited = Object.entries(process.env).filter(
      ([key]) => !['NO_COLOR', 'FORCE_COLOR', 'NODE_ENV', 'CI'].includes(key),
    )
    this.screenOf = new xterm.Terminal({ cols: size.columns, rows: size.rows, allowProposedApi: true })
    const script =
      '"$0" "$@"; echo "exit=$?"; stty -a | grep -o -- "[-]*icanon\\|[-]*echo " | tr "\\n" " "; echo over'
    this.pty = spawn('/bin/sh', ['-c', script, process.execPath, program, ...args], {
      name: 'xterm-256color',
      cols: size.columns,
      rows: size.rows,
      env: {
        ...Object.fromEntries(inherited),
        TERM: 'xterm-256color',
        ...env,
        FIXTURE_RECORD: this.record,
      },
    })
    this.pty.onData((data) => {
      this.output += data
      this.screenOf.write(data)
    })
  }

  press(...keys: readonly string[]): void {
    for (const key of keys) this.pty.write(key)
  }

  resize(columns: number, rows: number): void {
    this.screenOf.resize(columns, rows)
    this.pty.resize(columns, rows)
  }

  /** The rows that are seen. */
  rows(): readonly string[] {
    const { active } = this.screenOf.buffer
    return Array.from(
      { length: this.screenOf.rows },
      (_, row) =>
        active
          .getLine(active.baseY + row)
          ?.translateToString(true)
          .trimEnd() ?? '',
    )
  }

  text(): string {
    return this.rows().join('\n')
  }

  isAlternate(): boolean {
    return this.screenOf.buffer.active.type === 'alternate'
  }

  /** Of the program that draws, not of the shell around it. */
  async signalProgram(signal: NodeJS.Signals): Promise<void> {
    const children = await readFile(
      `/proc/${String(this.pty.pid)}/task/${String(this.pty.pid)}/children`,
      'utf8',
    )
    process.kill(Number(children.trim().split(' ')[0]), signal)
  }

  /** Waits until the screen satisfies `seen`; fails with the screen after ten seconds. */
  async eventually(seen: (text: string) => boolean, what: string): Promise<void> {
    const end = Date.now() + 10_000
    while (!seen(this.text())) {
      if (Date.now() > end) throw new Error(`never seen: ${what}\n${this.text()}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async shows(part: string): Promise<void> {
    await this.eventually((text) => text.includes(part), part)
  }

  /** What the fixture was asked for: Intents, addresses, how it ended. */
  async recorded(): Promise<readonly string[]> {
    const text = await readFile(this.record, 'utf8').catch(() => '')
    return text.split('\n').filter((line) => line !== '')
  }

  /** Waits until the program has ended, and tells how it left the terminal. */
  async over(): Promise<{ readonly exit: number; readonly restored: boolean; readonly modes: string }> {
    await this.shows('over')
    const modes = /exit=(\d+)\r?\n([^\n]*)over/u.exec(this.output)
    const lastOf = (on: string, off: string): boolean =>
      this.output.lastIndexOf(on) > this.output.lastIndexOf(off)
    const cursorShown = lastOf('\u001B[?25h', '\u001B[?25l')
    const pasteOff = !lastOf('\u001B[?2004h', '\u001B[?2004l')
    return {
      exit: Number(modes?.[1]),
      restored: !this.isAlternate() && cursorShown && pasteOff,
      modes: modes?.[2]?.trim() ?? '',
    }
  }

  close(): void {
    try {
      this.pty.kill('SIGKILL')
    } catch {
      // It has ended.
    }
    this.screenOf.dispose()
  }
}
