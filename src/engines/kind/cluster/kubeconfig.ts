import { parse } from 'yaml'
import type { KubeIdentity } from '../kube/access.js'

/** A kubeconfig that is not as kind writes one, and why. */
export class UnlikeKind extends Error {}

const KEYS = {
  top: ['apiVersion', 'kind', 'preferences', 'clusters', 'contexts', 'users', 'current-context'],
  cluster: ['server', 'certificate-authority-data'],
  context: ['cluster', 'user'],
  user: ['client-certificate-data', 'client-key-data'],
} as const

const MOST_BYTES = 64 * 1024

/**
 * Reads the kubeconfig of a kind cluster. Anything that kind does not write itself is refused, whatever it would do: a proxy, a
 * program that gives tokens, another server name, a second context, a file elsewhere.
 * @throws UnlikeKind
 */
export function readKindConfig(text: string, name: string): KubeIdentity {
  if (text.length > MOST_BYTES) throw new UnlikeKind(`it has ${String(text.length)} bytes`)
  const top = record(parseYaml(text), 'it', KEYS.top)
  const own = `kind-${name}`
  const cluster = record(single(top['clusters'], 'cluster', own), `cluster ${own}`, KEYS.cluster)
  const user = record(single(top['users'], 'user', own), `user ${own}`, KEYS.user)
  const context = record(single(top['contexts'], 'context', own), `context ${own}`, KEYS.context)
  for (const [key, value] of [
    ['current-context', top['current-context']],
    ['the cluster of its context', context['cluster']],
    ['the user of its context', context['user']],
  ] as const) {
    if (value !== own) throw new UnlikeKind(`${key} is ${String(value)} and not ${own}`)
  }
  return {
    server: checkServer(text_(cluster, 'server')),
    ca: decode(cluster, 'certificate-authority-data'),
    cert: decode(user, 'client-certificate-data'),
    key: decode(user, 'client-key-data'),
  }
}

function parseYaml(text: string): unknown {
  try {
    // Neither aliases nor doubled keys: what is checked is what is used.
    return parse(text, { maxAliasCount: 0, uniqueKeys: true, merge: false, logLevel: 'error' })
  } catch (error) {
    throw new UnlikeKind(`it is not YAML: ${error instanceof Error ? error.message : String(error)}`)
  }
}

type Fields = Readonly<Record<string, unknown>>

function record(value: unknown, what: string, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UnlikeKind(`${what} is no mapping`)
  const strange = Object.keys(value).filter((key) => !known.includes(key))
  if (strange.length > 0) throw new UnlikeKind(`${what} has ${strange.join(', ')}`)
  return value as Fields
}

/** The one entry of a list of named things. */
function single(list: unknown, what: string, own: string): unknown {
  if (!Array.isArray(list) || list.length !== 1)
    throw new UnlikeKind(`it has ${String(Array.isArray(list) ? list.length : 0)} ${what}s and not one`)
  const entry = record(list[0], `its ${what}`, ['name', what])
  if (entry['name'] !== own) throw new UnlikeKind(`its ${what} is ${String(entry['name'])} and not ${own}`)
  return entry[what]
}

function text_(fields: Fields, key: string): string {
  const value = fields[key]
  if (typeof value === 'string' && value !== '') return value
  throw new UnlikeKind(`${key} is not there`)
}

function decode(fields: Fields, key: string): string {
  return Buffer.from(text_(fields, key), 'base64').toString('utf8')
}

/** A number of this machine itself; a name could mean another one tomorrow. */
function checkServer(server: string): string {
  const refuse = (why: string): never => {
    throw new UnlikeKind(`its server is ${server}: ${why}`)
  }
  if (!URL.canParse(server)) return refuse('no address')
  const url = new URL(server)
  if (url.protocol !== 'https:') return refuse('not https')
  if (url.hostname !== '127.0.0.1' && url.hostname !== '[::1]') return refuse('not this machine')
  if (url.port === '') return refuse('no port')
  if (server !== url.origin) return refuse('more than host and port')
  return url.origin
}
