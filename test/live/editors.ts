import { execFile } from 'node:child_process'
import {
  copyFile,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Brings a file from what it is to `text`, by the system calls that a program uses for a save. */
export type Save = (path: string, text: string) => Promise<void>

/** How programs save, by what they are called. */
export const EDITORS: Readonly<Record<string, Save>> = {
  'VS Code: in place, emptied first': async (path, text) => {
    const file = await open(path, 'r+')
    try {
      await file.truncate(0)
      await file.write(text, 0)
    } finally {
      await file.close()
    }
  },
  'nano: in place, at once': (path, text) => writeFile(path, text),
  'in place, in many small pieces': async (path, text) => {
    const file = await open(path, 'w')
    try {
      for (let from = 0; from < text.length; from += 97) await file.write(text.slice(from, from + 97))
    } finally {
      await file.close()
    }
  },
  'a temporary file renamed over it': async (path, text) => {
    const temporary = `${path}.tmp.4711`
    await writeFile(temporary, text)
    await rename(temporary, path)
  },
  'JetBrains: a safe write': async (path, text) => {
    await writeFile(`${path}___jb_tmp___`, text)
    await rename(path, `${path}___jb_old___`)
    await rename(`${path}___jb_tmp___`, path)
    await unlink(`${path}___jb_old___`)
  },
  'Emacs: lock, backup by rename, a new file': async (path, text) => {
    const lock = join(dirname(path), `.#${basename(path)}`)
    await symlink('somebody@host.4711:1700000000', lock)
    await writeFile(join(dirname(path), `#${basename(path)}#`), text)
    await rename(path, `${path}~`)
    await writeFile(path, text)
    await unlink(join(dirname(path), `#${basename(path)}#`))
    await unlink(lock)
    await unlink(`${path}~`)
  },
  'deleted, then made anew': async (path, text) => {
    await unlink(path)
    await writeFile(path, text)
  },
  'twice within a millisecond, to texts of one length': async (path, text) => {
    await writeFile(path, text.replaceAll(/[a-z]/g, 'x'))
    await writeFile(path, text)
  },
  'vim, backupcopy=no: backup by rename, a new file': (path, text) =>
    byProgram(
      'vim',
      async () => vim(path, text, 'no'),
      async () => {
        await rename(path, `${path}~`)
        await writeFile(path, text)
        await unlink(`${path}~`)
      },
    ),
  'vim, backupcopy=yes: in place': (path, text) =>
    byProgram(
      'vim',
      async () => vim(path, text, 'yes'),
      async () => {
        await copyFile(path, `${path}~`)
        await writeFile(path, text)
        await unlink(`${path}~`)
      },
    ),
  'sed -i': (path, text) =>
    byProgram(
      'sed',
      () => sed(path, text),
      () => replace(path, text, 'sedXq3vZa'),
    ),
  'rsync: a dotted temporary file with an older time, renamed': (path, text) =>
    byProgram(
      'rsync',
      () => rsync(path, text),
      () => replace(path, text, `.${basename(path)}.Xq3vZa`, OLDER),
    ),
  'git checkout': (path, text) =>
    byProgram(
      'git',
      () => gitCheckout(path, text),
      async () => {
        await unlink(path)
        await writeFile(path, text, { flag: 'wx' })
      },
    ),
}

/** A time stamp in seconds, older than any file here. */
const OLDER = 1_600_000_000

/** By the program itself where this machine has it, else by its system calls. */
async function byProgram(
  program: string,
  itself: () => Promise<void>,
  calls: () => Promise<void>,
): Promise<void> {
  const there = await run('which', [program]).then(
    () => true,
    () => false,
  )
  await (there ? itself() : calls())
}

async function replace(path: string, text: string, temporaryName: string, time?: number): Promise<void> {
  const temporary = join(dirname(path), temporaryName)
  await writeFile(temporary, text)
  if (time !== undefined) await utimes(temporary, time, time)
  await rename(temporary, path)
}

async function vim(path: string, text: string, backupcopy: 'yes' | 'no'): Promise<void> {
  await using folder = await temporaryFolder()
  const source = join(folder.path, 'script')
  const { number, line } = await difference(path, text)
  await writeFile(source, `call setline(${String(number)}, '${line.replaceAll("'", "''")}')\nwq!\n`)
  const set = `set nomodeline noswapfile backup writebackup backupcopy=${backupcopy} backupdir=. backupskip=`
  // Where it would ask something it must end instead.
  await run('vim', ['-es', '-u', 'NONE', '-i', 'NONE', '-c', set, '-S', source, path], { timeout: 10_000 })
  await rm(`${path}~`, { force: true })
}

async function sed(path: string, text: string): Promise<void> {
  const { number, line } = await difference(path, text)
  await run('sed', ['-i', `${String(number)}c\\${line.replaceAll('\\', '\\\\')}`, path])
}

async function rsync(path: string, text: string): Promise<void> {
  await using folder = await temporaryFolder()
  const source = join(folder.path, basename(path))
  await writeFile(source, text)
  await utimes(source, OLDER, OLDER)
  await run('rsync', ['--times', '--ignore-times', source, path])
}

/** What a branch switch does: git knows another content than the one that is there. */
async function gitCheckout(path: string, text: string): Promise<void> {
  await using folder = await temporaryFolder()
  const repository = join(folder.path, 'repository')
  const git = (...argv: readonly string[]): Promise<{ readonly stdout: string }> =>
    run('git', [`--git-dir=${repository}`, `--work-tree=${dirname(path)}`, ...argv])
  await git('init', '--quiet')
  const wanted = join(folder.path, 'wanted')
  await writeFile(wanted, text)
  const { stdout: hash } = await git('hash-object', '-w', wanted)
  await git('update-index', '--add', '--cacheinfo', `100644,${hash.trim()},${basename(path)}`)
  await git('checkout-index', '--force', '--', basename(path))
}

/** The first line that differs, from 1, and what it is to be: all that an edit here changes. */
async function difference(
  path: string,
  text: string,
): Promise<{ readonly number: number; readonly line: string }> {
  const now = (await readFile(path, 'utf8')).split('\n')
  const wanted = text.split('\n')
  const index = wanted.findIndex((line, at) => line !== now[at])
  return { number: index + 1, line: wanted[index] ?? '' }
}

async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'devstack-live-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
