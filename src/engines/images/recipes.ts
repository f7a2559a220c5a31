import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import type { HostCa } from './host-settings.js'
import { parseReference, repositoryName, versionFits } from './reference.js'

/** Counts up when the way recipes are built changes, so that their images are built anew. */
const RECIPE_VERSION = 1

/** A recipe as its file, `recipe.json`, says it. */
export interface RecipeFile {
  readonly name: string
  readonly family: string
  /** The version that the recipe builds, as far as it decides whether a tag fits: `17`, `3.13`. */
  readonly major: string
  readonly kind: 'debootstrap' | 'dockerfile'
  /** Repositories of the images that this one stands in for. */
  readonly upstream: readonly string[]
  /** Where given, a tag must begin with one of these words: Debian's releases have names. */
  readonly tagWords?: readonly string[]
  readonly base?: string
  readonly buildArgs?: Readonly<Record<string, string>>
  /** Files of the folder `shared` that the build reads, through the named context `shared`. */
  readonly shared?: readonly string[]
  /** File name -> npm package, or the npm package by processor; fetched on the host into the context `fetched`. */
  readonly fetch?: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  /** The image trusts the host's certificates where the host has some: bases of other people's Dockerfiles need it. */
  readonly trustsHostCa?: boolean
  /** The build itself fetches over HTTPS; nothing of the host's certificates stays in the image. */
  readonly usesHostCa?: boolean
  readonly usesMavenSettings?: boolean
  /** How long the build takes about: the longest begins first. */
  readonly usualSeconds?: number
  /** What the image lacks, compared with the upstream one. */
  readonly reduced?: string
  /** Debian's release, its apt settings and its dpkg settings; of a `debootstrap` recipe. */
  readonly suite?: string
  readonly apt?: string
  readonly dpkg?: string
}

/** A recipe with the hash of everything that its image is made of. */
export interface Recipe extends RecipeFile {
  /** Absolute path. */
  readonly folder: string
  readonly hash: string
  /** `devstack/NAME:HASH`. */
  readonly ref: string
  /** True where the image trusts the host's own certificates. */
  readonly trustsHost: boolean
}

/** Labels that every image made of a recipe carries. */
export const IMAGE_LABEL = {
  image: 'dev.devstack.image',
  recipe: 'dev.devstack.recipe',
  family: 'dev.devstack.family',
  major: 'dev.devstack.major',
  reduced: 'dev.devstack.reduced',
  trustsHostCa: 'dev.devstack.trusts-host-ca',
} as const

/** The recipes of a folder, each base before what is built on it. */
export async function loadRecipes(folder: string, hostCa: HostCa | null): Promise<readonly Recipe[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const files: { readonly file: RecipeFile; readonly folder: string }[] = []
  for (const entry of entries
    .filter((entry) => entry.isDirectory())
    .sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    const text = await readFile(join(path, 'recipe.json'), 'utf8').catch(() => null)
    // The files are part of this package, and a test holds them to this type.
    if (text !== null) files.push({ file: JSON.parse(text) as RecipeFile, folder: path })
  }
  const recipes = new Map<string, Recipe>()
  const pending = [...files]
  while (pending.length > 0) {
    const index = pending.findIndex(({ file }) => file.base === undefined || recipes.has(file.base))
    const [next] = pending.splice(index, 1)
    if (index < 0 || next === undefined) throw new Error(`recipes without their base in ${folder}`)
    const base = next.file.base === undefined ? null : (recipes.get(next.file.base) ?? null)
    recipes.set(next.file.name, await finishRecipe(next.file, next.folder, base, hostCa))
  }
  return [...recipes.values()]
}

async function finishRecipe(
  file: RecipeFile,
  folder: string,
  base: Recipe | null,
  hostCa: HostCa | null,
): Promise<Recipe> {
  const trustsHost = file.trustsHostCa === true && hostCa !== null
  const hash = createHash('sha256')
  hash.update(`${String(RECIPE_VERSION)}\0${base?.hash ?? ''}\0${process.arch}\0`)
  hash.update(trustsHost ? hostCa.sha256 : '')
  for (const path of await listFiles(folder)) {
    hash.update(`\0${relative(folder, path).split(sep).join('/')}\0`).update(await fileDigest(path))
  }
  for (const name of file.shared ?? []) {
    hash.update(`\0shared/${name}\0`).update(await fileDigest(join(folder, '..', 'shared', name)))
  }
  const short = hash.digest('hex').slice(0, 12)
  return { ...file, folder, trustsHost, hash: short, ref: `devstack/${file.name}:${short}` }
}

async function listFiles(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort((a, b) => (a < b ? -1 : 1))
}

async function fileDigest(path: string): Promise<Buffer> {
  const [content, { mode }] = await Promise.all([readFile(path), stat(path)])
  // Of the mode only what git keeps: the rest differs from checkout to checkout.
  return createHash('sha256')
    .update(mode & 0o100 ? 'x' : '-')
    .update(content)
    .digest()
}

/** How an image is going to be used: as a service, or as the base of somebody's Dockerfile. */
export type ImageUse = 'service' | 'base'

/** The recipe that stands in for a reference, or why none does. */
export type RecipeMatch =
  { readonly recipe: Recipe; readonly why: null } | { readonly recipe: null; readonly why: string }

/** Finds the recipe of the same name and major; `devstack/NAME:anything` is the recipe NAME. */
export function matchRecipe(recipes: readonly Recipe[], wanted: string, use: ImageUse): RecipeMatch {
  const reference = parseReference(wanted)
  const name = repositoryName(reference)
  if (name.startsWith('devstack/')) {
    const own = recipes.find((recipe) => `devstack/${recipe.name}` === name)
    return own === undefined ? none(`there is no recipe named ${name.slice('devstack/'.length)}`) : found(own)
  }
  const recipe = recipes.find(({ upstream }) => upstream.includes(name))
  if (recipe === undefined) return none('there is no recipe for it')
  const tag = reference.tag
  if (reference.digest !== null && tag === null)
    return none('a digest names one image of a registry and no version')
  const known = `the recipe builds ${recipe.name} ${recipe.major}`
  if (!versionFits(tag, recipe.major)) return none(known)
  if (
    recipe.tagWords !== undefined &&
    tag !== null &&
    !recipe.tagWords.includes(/^[a-z0-9]+/i.exec(tag)?.[0] ?? '')
  ) {
    return none(known)
  }
  if (use === 'base' && /(?:^|[-.])alpine/.test(tag ?? '')) {
    return none('the recipe is a Debian, and a Dockerfile for Alpine does not build on it')
  }
  return found(recipe)
}

function found(recipe: Recipe): RecipeMatch {
  return { recipe, why: null }
}

function none(why: string): RecipeMatch {
  return { recipe: null, why }
}
