import { createHash } from 'node:crypto'
import { realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { EngineKind } from '../../core/project.js'
import { changeClaims, readClaims } from './registry.js'
import type { Claim } from './registry.js'
import { ensurePrivateFolder, stateRoot } from './state.js'

type Environment = Readonly<Record<string, string | undefined>>

export interface ClaimRequest {
  /** The project's folder. */
  readonly folder: string
  /** See `wantedName`. */
  readonly wantedName: string
  readonly env: Environment
  /**
   * Asked once, where a name would be claimed for the first time: the folder for which the engine already has a project
   * of this name that we never claimed (somebody's plain `docker compose up`), or null.
   */
  readonly ownerOf?: (name: string) => Promise<string | null>
}

export interface ClaimedProject {
  /** The Compose project name. */
  readonly name: string
  /** `<name>-<hash of the path at the first claim>`. */
  readonly key: string
  /** True for the folder that has the wanted name itself. */
  readonly primary: boolean
  /** Absolute; see {@link engineState} for the folder within it. Not made yet. */
  readonly stateFolder: string
  readonly folder: string
}

/**
 * The name and state of a folder: the same at every call. The first folder that asks for a name gets it; another one, such
 * as a second worktree, gets `name-<6 hex of its path>`; one that moved finds its own again.
 * @throws DevstackError STATE_FOREIGN, LOCKED
 */
export async function claimProject(request: ClaimRequest): Promise<ClaimedProject> {
  const root = stateRoot(request.env)
  const folder = await realpath(request.folder)
  const me = { folder, identity: await identityOf(folder), wanted: request.wantedName }
  const known = (await readClaims(root)).find((claim) => isMine(claim, me))
  if (known !== undefined && known.identity === me.identity) return claimed(root, known)
  const claim = await changeClaims(root, async (claims) => {
    const mine = await settle(claims, me, request.ownerOf ?? (() => Promise.resolve(null)))
    const others = claims.filter((one) => one.key !== mine.key)
    return { claims: [...others, mine], result: mine }
  })
  return claimed(root, claim)
}

/** Forgets a claim, once nothing of the project is left. True where it was there. */
export async function forgetProject(env: Environment, key: string): Promise<boolean> {
  return changeClaims(stateRoot(env), (claims) => {
    const others = claims.filter((claim) => claim.key !== key)
    const found = others.length < claims.length
    return Promise.resolve({ claims: found ? others : claims, result: found })
  })
}

export interface ListedProject extends ClaimedProject {
  /** The folder is gone: its containers and volumes may still be there. */
  readonly orphaned: boolean
}

/** Every project of this user, oldest claim first. */
export async function listProjects(env: Environment): Promise<readonly ListedProject[]> {
  const root = stateRoot(env)
  const claims = await readClaims(root)
  return Promise.all(
    claims.map(async (claim) => ({
      ...claimed(root, claim),
      orphaned: (await identityOf(claim.folder)) !== claim.identity,
    })),
  )
}

/** Makes and returns the folder of one engine's session: `<state>/<name>-<hash>/<engine>`, 0700. */
export async function engineState(project: ClaimedProject, engine: EngineKind): Promise<string> {
  const folder = join(project.stateFolder, engine)
  for (const one of [join(project.stateFolder, '..'), project.stateFolder, folder])
    await ensurePrivateFolder(one)
  return folder
}

type Me = Pick<Claim, 'folder' | 'identity' | 'wanted'>

function isMine(claim: Claim, me: Me): boolean {
  return claim.folder === me.folder && claim.wanted === me.wanted
}

function claimed(root: string, { name, wanted, key, folder }: Claim): ClaimedProject {
  return { name, key, primary: name === wanted, stateFolder: join(root, key), folder }
}

/** Under the lock: whose claim is this folder's? */
async function settle(
  claims: readonly Claim[],
  me: Me,
  ownerOf: (name: string) => Promise<string | null>,
): Promise<Claim> {
  const rivals = claims.filter((claim) => claim.wanted === me.wanted)
  const mine = rivals.find((claim) => isMine(claim, me)) ?? (await moved(rivals, me))
  if (mine !== null) return { ...mine, ...me }
  const taken = new Set(claims.map((claim) => claim.name))
  const owner = taken.has(me.wanted) ? null : await ownerOf(me.wanted)
  const free = !taken.has(me.wanted) && (owner === null || owner === me.folder)
  const name = free ? me.wanted : suffixed(me, taken)
  return { ...me, name, key: `${name}-${hash(me.folder).slice(0, 8)}` }
}

/** The claim of a folder that is not where it was: this very folder, or for the first name's owner any that took its place. */
async function moved(rivals: readonly Claim[], me: Me): Promise<Claim | null> {
  const left: Claim[] = []
  for (const claim of rivals) {
    const now = await identityOf(claim.folder)
    if (now === claim.identity) continue
    if (claim.identity === me.identity) return claim
    if (now === '') left.push(claim)
  }
  return left.find((claim) => claim.name === claim.wanted) ?? null
}

function suffixed(me: Me, taken: ReadonlySet<string>): string {
  const digest = hash(me.folder)
  for (let length = 6; length < digest.length; length++) {
    const name = `${me.wanted}-${digest.slice(0, length)}`
    if (!taken.has(name)) return name
  }
  return `${me.wanted}-${digest}`
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** An inode number alone is given to the next folder when this one is removed. Empty: there is no folder. */
async function identityOf(folder: string): Promise<string> {
  const found = await stat(folder, { bigint: true }).catch(() => null)
  return found?.isDirectory() === true ? `${String(found.ino)}-${String(found.birthtimeNs)}` : ''
}
