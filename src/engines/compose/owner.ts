import type { Docker } from './docker.js'
import { isNotFound } from './docker.js'
import type { InspectedContainer } from './observe.js'

/** Whom delivered files belong to. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** The container's own user as numbers; names are looked up in the container's /etc/passwd and /etc/group. */
export async function readOwner(
  docker: Docker,
  container: InspectedContainer,
  signal: AbortSignal,
): Promise<Owner> {
  const [user = '', group] = container.Config.User.split(':')
  if (user === '' && group === undefined) return { uid: 0, gid: 0 }
  if (isNumber(user) && group !== undefined && isNumber(group))
    return { uid: Number(user), gid: Number(group) }
  const [passwd, groups] = await Promise.all([
    readText(docker, container.Id, '/etc/passwd', signal),
    group === undefined || isNumber(group) ? '' : readText(docker, container.Id, '/etc/group', signal),
  ])
  return resolveOwner(user, group, passwd, groups)
}

/** As the engine itself resolves `USER`: a bare number that passwd does not know has group 0. */
export function resolveOwner(user: string, group: string | undefined, passwd: string, groups: string): Owner {
  const account = records(passwd).find(([name, , uid]) => name === user || (isNumber(user) && uid === user))
  const uid = isNumber(user) ? Number(user) : Number(account?.[2] ?? 0)
  if (group === undefined) return { uid, gid: Number(account?.[3] ?? 0) }
  if (isNumber(group)) return { uid, gid: Number(group) }
  return { uid, gid: Number(records(groups).find(([name]) => name === group)?.[2] ?? 0) }
}

function records(text: string): readonly (readonly string[])[] {
  return text.split('\n').map((line) => line.split(':'))
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text)
}

async function readText(docker: Docker, id: string, path: string, signal: AbortSignal): Promise<string> {
  try {
    const stream = await (await docker.client()).getContainer(id).getArchive({ path, abortSignal: signal })
    // CommonJS: only `default` is there in the bundle, too.
    const { extract } = (await import('tar-stream')).default
    const tar = extract()
    stream.pipe(tar)
    let text = ''
    for await (const entry of tar) {
      for await (const chunk of entry) text += (chunk as Buffer).toString('utf8')
    }
    return text
  } catch (error) {
    // An image made from nothing has no such file.
    if (isNotFound(error)) return ''
    throw error
  }
}
