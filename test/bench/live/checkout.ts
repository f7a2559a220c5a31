import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { monotonic, observe } from '../../live/observer.ts'
import { figure, type Figure } from '../support.ts'
import { content, names, sha256 } from './files.ts'
import { report, samplesOr, until } from './figures.ts'
import { openSides, type Side } from './sides.ts'

const run = promisify(execFile)

/** How many files, and the goal for devstack in milliseconds. */
const SIZES = { 5000: 2000, 20_000: 5000 } as const
const ROUNDS = 4

/** Another branch, in which every file differs, a tenth is gone and a tenth is new: until that is in the container. */
export async function checkout(): Promise<void> {
  const rows: Record<string, Figure | number> = {}
  for (const [count, goal] of Object.entries(SIZES)) {
    const size = Number(count)
    await using sides = await openSides({ 'app.py': '' })
    const compared = { devstack: sides.each.devstack, 'compose watch': sides.each['compose watch'] }
    const times: Record<string, number[]> = {}
    const missed: Record<string, number> = { devstack: 0, 'compose watch': 0 }
    for (const side of Object.values(compared)) await makeBranches(side, size)
    const rounds = samplesOr(ROUNDS)
    // The first checkout of each side brings the files there at all, and is not counted.
    for (let round = 0; round <= rounds; round += 1)
      for (const [name, side] of Object.entries(compared)) {
        const branch = round % 2 === 0 ? 'one' : 'other'
        await using observer = await observe(side.container)
        await git(side, 'checkout', '--quiet', branch)
        const ended = monotonic()
        const { at, wrong } = await observer.settles(expected(size, branch), 60_000)
        missed[name] = (missed[name] ?? 0) + wrong
        if (at !== null && round > 0) (times[name] ??= []).push(at - ended)
        await until(monotonic() + 2000)
      }
    for (const [name, samples] of Object.entries(times))
      rows[`${count} files, git's end -> all there: ${name}, ms (goal ${String(goal)})`] = figure(samples)
    for (const [name, wrong] of Object.entries(missed))
      rows[`${count} files, wrong after 60 s: ${name}`] = wrong
  }
  await report('live-checkout', rows)
}

function branchFiles(size: number, branch: string): Readonly<Record<string, string>> {
  const kept = names(size).filter((_name, index) => index % 10 !== (branch === 'one' ? 1 : 2))
  return Object.fromEntries(kept.map((name) => [name, content(name, branch)]))
}

function expected(size: number, branch: string): Readonly<Record<string, string | null>> {
  const files = branchFiles(size, branch)
  return Object.fromEntries(
    names(size).map((name) => {
      const text = files[name]
      return [`/app/src/${name}`, text === undefined ? null : sha256(text)]
    }),
  )
}

/** The watched folder is a work tree; its repository is beside it. It ends with no file of either branch. */
async function makeBranches(side: Side, size: number): Promise<void> {
  await git(side, 'init', '--quiet', '--initial-branch', 'empty')
  await git(side, 'add', 'app.py')
  await commit(side)
  const staging = join(side.folder, '../staging')
  for (const branch of ['one', 'other']) {
    // Written elsewhere: what is watched is to see nothing but the checkouts.
    for (const [name, text] of Object.entries(branchFiles(size, branch))) {
      await mkdir(dirname(join(staging, name)), { recursive: true })
      await writeFile(join(staging, name), text)
    }
    await git(side, 'symbolic-ref', 'HEAD', `refs/heads/${branch}`)
    await git({ ...side, tree: staging }, 'add', '--all')
    await commit(side)
    await rm(staging, { recursive: true })
  }
  await git(side, 'symbolic-ref', 'HEAD', 'refs/heads/empty')
  await git(side, 'read-tree', 'empty')
}

async function commit(side: Side): Promise<void> {
  const who = ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost']
  await git(side, ...who, 'commit', '--quiet', '--message', 'files')
}

async function git(side: Side & { readonly tree?: string }, ...argv: readonly string[]): Promise<void> {
  const repository = join(side.folder, '../repository.git')
  const tree = side.tree ?? side.folder
  await run('git', [`--git-dir=${repository}`, `--work-tree=${tree}`, ...argv], { cwd: tree })
}
