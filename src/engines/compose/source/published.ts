import type { SourcePosition } from '../../../core/error.js'
import { parsePort } from './formats.js'
import { itemsOf, valueOf } from './services.js'
import type { Entry, ServiceSource } from './services.js'
import { isMap, textOf } from './types.js'
import type { SourceProblem } from './types.js'

interface Published {
  readonly service: string
  readonly ip: string
  readonly port: number
  readonly target: string
  readonly protocol: string
  readonly at: SourcePosition
}

/** Host ports that two services, or one service twice, want to publish. The second one would fail to start. */
export function checkPublished(services: readonly ServiceSource[]): readonly SourceProblem[] {
  const byPort = new Map<string, Published[]>()
  const problems: SourceProblem[] = []
  for (const one of firstPorts(services)) {
    const key = `${String(one.port)}/${one.protocol}`
    const others = byPort.get(key) ?? []
    const other = others.find((earlier) => collide(earlier, one))
    byPort.set(key, [...others, one])
    if (other === undefined) continue
    const place = `${other.at.file}:${String(other.at.line)}`
    const message =
      other.service === one.service
        ? `${one.service} publishes port ${String(one.port)} twice (also ${place})`
        : `${one.service} publishes port ${String(one.port)}, and so does ${other.service} (${place})`
    problems.push({ message, at: one.at, hint: 'give one of them another host port', stage: 'up' })
  }
  return problems
}

/** More ports than this, in one range or in all, are not compared: nobody writes it, and it would take long. */
const MAX_PORTS = 2000

function firstPorts(services: readonly ServiceSource[]): readonly Published[] {
  const found: Published[] = []
  for (const service of services.filter(({ active }) => active)) {
    for (const entry of portsOf(service)) {
      found.push(...publishedIn(service.name, entry))
      if (found.length > MAX_PORTS) return found.slice(0, MAX_PORTS)
    }
  }
  return found
}

/** Without a network of its own a service publishes nothing. */
function portsOf({ bodies }: ServiceSource): readonly Entry[] {
  const mode = valueOf(bodies, 'network_mode')
  const shares = mode !== null && /^(host|none|service:|container:)/.test(textOf(mode.value))
  return shares ? [] : itemsOf(bodies, 'ports')
}

function publishedIn(service: string, { value, at }: Entry): readonly Published[] {
  const text = isMap(value) ? longText(value) : textOf(value)
  const parsed = parsePort(text)
  if (typeof parsed === 'string' || parsed.host === null) return []
  const [first, last] = parsed.host
  const [target, lastTarget] = parsed.target
  // A range for one container port: the engine picks a free one.
  if (last - first > MAX_PORTS || (last > first && lastTarget === target)) return []
  return Array.from({ length: last - first + 1 }, (_, index) => ({
    service,
    ip: parsed.ip,
    port: first + index,
    target: String(target + index),
    protocol: parsed.protocol,
    at,
  }))
}

function longText(value: Readonly<Record<string, unknown>>): string {
  const text = (key: string) => textOf(value[key])
  const ip = text('host_ip')
  const address = ip === '' ? '' : `${ip.includes(':') ? `[${ip}]` : ip}:`
  const published = text('published')
  return `${published === '' ? '' : `${address}${published}:`}${text('target')}/${text('protocol') || 'tcp'}`
}

function collide(one: Published, other: Published): boolean {
  const anywhere = ['', '0.0.0.0', '::']
  const sameAddress = one.ip === other.ip || anywhere.includes(one.ip) || anywhere.includes(other.ip)
  // Two files of one service that say the same thing say it once.
  const same = one.service === other.service && one.ip === other.ip && one.target === other.target
  return sameAddress && !same
}
