import { itemsOf, valueOf } from './services.js'
import type { Entry, ServiceSource } from './services.js'
import { isMap, textOf } from './types.js'
import type { Body, SourceProblem, YamlMap } from './types.js'

/** Texts that the schema takes for any text, but Compose for a port, a duration, a size, a number or a switch. */
export function checkFormats(services: readonly ServiceSource[]): readonly SourceProblem[] {
  return services
    .filter(({ active }) => active)
    .flatMap((service) => [...keyFormats(service), ...wholeService(service)])
}

type Format = 'duration' | 'size' | 'number' | 'integer' | 'boolean'

const FORMATS: Readonly<Record<Format, readonly string[]>> = {
  duration: [
    'healthcheck.interval',
    'healthcheck.timeout',
    'healthcheck.start_period',
    'healthcheck.start_interval',
    'stop_grace_period',
    'deploy.restart_policy.delay',
    'deploy.restart_policy.window',
    'deploy.update_config.delay',
    'deploy.update_config.monitor',
    'deploy.rollback_config.delay',
    'deploy.rollback_config.monitor',
  ],
  size: [
    'mem_limit',
    'mem_reservation',
    'memswap_limit',
    'shm_size',
    'build.shm_size',
    'deploy.resources.limits.memory',
    'deploy.resources.reservations.memory',
  ],
  number: ['cpus', 'cpu_percent', 'deploy.resources.limits.cpus', 'deploy.resources.reservations.cpus'],
  integer: [
    'scale',
    'deploy.replicas',
    'healthcheck.retries',
    'cpu_count',
    'cpu_shares',
    'pids_limit',
    'oom_score_adj',
  ],
  boolean: [
    'tty',
    'stdin_open',
    'read_only',
    'privileged',
    'init',
    'oom_kill_disable',
    'healthcheck.disable',
  ],
}

const PATTERNS: Readonly<Record<Format, { readonly matches: RegExp; readonly hint: string }>> = {
  duration: {
    matches: /^(0|[+-]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w))+)$/,
    hint: 'write it as 500ms, 30s, 1m30s or 2h',
  },
  size: { matches: /^-?\d+(\.\d+)* ?[kmgtp]?i?b?$/i, hint: 'write it as 512k, 64m or 1g' },
  number: { matches: /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i, hint: 'write a number, such as 0.5' },
  integer: { matches: /^[+-]?\d+$/, hint: 'write a whole number' },
  boolean: { matches: /^(true|false|yes|no|on|off|y|n|t|f|0|1)$/i, hint: 'write true or false' },
}

const NAMES: Readonly<Record<Format, string>> = {
  duration: 'a duration',
  size: 'a size',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
}

function keyFormats({ name, bodies }: ServiceSource): readonly SourceProblem[] {
  return (Object.keys(FORMATS) as Format[]).flatMap((format) =>
    FORMATS[format].flatMap((key) => {
      const entry = valueOf(bodies, ...key.split('.'))
      return entry === null ? [] : formatProblem(`services.${name}.${key}`, entry, format)
    }),
  )
}

function formatProblem(path: string, { value, at }: Entry, format: Format): readonly SourceProblem[] {
  // Numbers and switches were the schema's to judge; an empty text is an unset variable, told elsewhere.
  if (typeof value !== 'string' || value === '' || PATTERNS[format].matches.test(value)) return []
  const message = `${path}: "${value}" is not ${NAMES[format]}`
  return [{ message, at, hint: PATTERNS[format].hint, stage: 'config' }]
}

function wholeService(service: ServiceSource): readonly SourceProblem[] {
  const { name, bodies } = service
  const path = `services.${name}`
  return [
    ...itemsOf(bodies, 'ports').flatMap((entry) => portProblems(`${path}.ports`, entry)),
    ...healthTest(path, bodies),
    ...repeated(path, bodies),
    ...contradictions(name, bodies),
    ...itemsOf(bodies, 'volumes').flatMap((entry) => mountProblems(`${path}.volumes`, entry)),
  ]
}

const NUMBER = String.raw`\d+(?:-\d+)?`
// [[IP:]HOST:]CONTAINER[/PROTOCOL], an IPv6 address in brackets.
const PORT = new RegExp(
  String.raw`^(?:(?:(?<ip>\[[0-9a-f:.%\w]+\]|[\d.]+):)?(?<host>${NUMBER})?:)?(?<target>${NUMBER})(?:/(?<protocol>\w+))?$`,
  'i',
)

export interface ParsedPort {
  readonly ip: string
  /** First and last; null where the engine picks. */
  readonly host: readonly [number, number] | null
  readonly target: readonly [number, number]
  readonly protocol: string
}

/** A published port as text, or what is wrong with it. */
export function parsePort(text: string): ParsedPort | string {
  const groups = PORT.exec(text)?.groups
  if (groups === undefined) return 'is not a port'
  const host = groups['host'] === undefined ? null : range(groups['host'])
  const target = range(groups['target'] ?? '')
  for (const one of [host, target]) {
    if (one === null) continue
    if (one[0] > one[1]) return 'has a range that ends before it begins'
    if (one[1] > 65_535) return `has a port above 65535`
  }
  const size = ([first, last]: readonly [number, number]) => last - first
  if (host !== null && size(target) > 0 && size(host) !== size(target))
    return 'has two ranges of different length'
  const protocol = (groups['protocol'] ?? 'tcp').toLowerCase()
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) return `has the unknown protocol "${protocol}"`
  return { ip: (groups['ip'] ?? '').replace(/^\[|\]$/g, ''), host, target, protocol }
}

function range(text: string): readonly [number, number] {
  const [first = '', last = first] = text.split('-')
  return [Number(first), Number(last)]
}

function portProblems(path: string, entry: Entry): readonly SourceProblem[] {
  const { value, at } = entry
  const hint = 'write it as "8080:80", "127.0.0.1:8080:80" or "8080:80/udp", in quotes'
  if (isMap(value)) return longPort(path, value, entry)
  if (typeof value !== 'string' && typeof value !== 'number') return []
  const parsed = value === '' ? null : parsePort(textOf(value))
  return typeof parsed === 'string'
    ? [{ message: `${path}: "${String(value)}" ${parsed}`, at, hint, stage: 'config' }]
    : []
}

function longPort(path: string, value: YamlMap, { at }: Entry): readonly SourceProblem[] {
  return ['target', 'published'].flatMap((key): readonly SourceProblem[] => {
    const written = value[key]
    if (written === undefined || written === '') return []
    const matches = key === 'target' ? /^\d+$/ : /^\d+(-\d+)?$/
    const text = textOf(written)
    const fits = matches.test(text) && text.split('-').every((port) => Number(port) <= 65_535)
    return fits
      ? []
      : [
          {
            message: `${path}: ${key} ${JSON.stringify(written)} is not a port`,
            at,
            hint: null,
            stage: 'config',
          },
        ]
  })
}

/** Lists in which Compose takes no item twice; from others it drops the second. */
const DISTINCT = [
  'depends_on',
  'networks',
  'security_opt',
  'group_add',
  'external_links',
  'volumes_from',
] as const

function repeated(path: string, bodies: readonly Body[]): readonly SourceProblem[] {
  return DISTINCT.flatMap((key) =>
    bodies.flatMap((body) => {
      const seen = new Set<string>()
      return itemsOf([body], key).flatMap(({ value, at }): readonly SourceProblem[] => {
        const text = textOf(value)
        if (text === '' || !seen.has(text)) {
          seen.add(text)
          return []
        }
        return [{ message: `${path}.${key}: "${text}" is written twice`, at, hint: null, stage: 'config' }]
      })
    }),
  )
}

function healthTest(path: string, bodies: readonly Body[]): readonly SourceProblem[] {
  const test = valueOf(bodies, 'healthcheck', 'test')
  if (test === null || !Array.isArray(test.value) || test.value.length === 0) return []
  const first: unknown = test.value[0]
  if (typeof first === 'string' && ['CMD', 'CMD-SHELL', 'NONE'].includes(first)) return []
  const message = `${path}.healthcheck.test: the list must begin with CMD, CMD-SHELL or NONE`
  return [{ message, at: test.at, hint: `write ["CMD", ${JSON.stringify(first)}, ...]`, stage: 'config' }]
}

/** Two ways to say one thing. */
const SAME = [
  ['scale', 'deploy.replicas'],
  ['mem_limit', 'deploy.resources.limits.memory'],
  ['mem_reservation', 'deploy.resources.reservations.memory'],
  ['cpus', 'deploy.resources.limits.cpus'],
] as const

/** The number that a text means, sizes in bytes; an empty text for what is no number, which was told already. */
function amount(value: unknown): number | string {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?$/i.exec(textOf(value)) ?? []
  if (number === undefined) return ''
  return Number(number) * 1024 ** ['', 'k', 'm', 'g', 't', 'p'].indexOf((unit ?? '').toLowerCase())
}

function contradictions(name: string, bodies: readonly Body[]): readonly SourceProblem[] {
  const problems: SourceProblem[] = []
  const [mode, networks] = [valueOf(bodies, 'network_mode'), valueOf(bodies, 'networks')]
  if (mode !== null && networks !== null && isFilled(networks.value)) {
    const message = `${name} has both network_mode and networks`
    problems.push({ message, at: mode.at, hint: 'keep one of them', stage: 'config' })
  }
  for (const [short, long] of SAME) {
    const [one, other] = [valueOf(bodies, short), valueOf(bodies, ...long.split('.'))]
    if (one === null || other === null || amount(one.value) === amount(other.value)) continue
    const message = `${name} has another ${short} than ${long}`
    problems.push({ message, at: one.at, hint: 'keep one of them', stage: 'config' })
  }
  const fixed = valueOf(bodies, 'container_name')
  const many = valueOf(bodies, 'scale') ?? valueOf(bodies, 'deploy', 'replicas')
  if (fixed !== null && many !== null && Number(many.value) > 1) {
    const message = `${name} has a fixed container_name, so it cannot run ${textOf(many.value)} times`
    problems.push({ message, at: fixed.at, hint: 'remove container_name', stage: 'config' })
  }
  return problems
}

function isFilled(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : isMap(value) && Object.keys(value).length > 0
}

function mountProblems(path: string, { value, at }: Entry): readonly SourceProblem[] {
  const problem = (message: string, hint: string): readonly SourceProblem[] => [
    { message: `${path}: ${message}`, at, hint, stage: 'config' },
  ]
  if (typeof value === 'string') return value === '' ? problem('an empty volume', 'write SOURCE:TARGET') : []
  if (!isMap(value)) return []
  if (value['type'] === 'bind' && (value['source'] === undefined || value['source'] === '')) {
    return problem('a bind mount without a source', 'add source: FOLDER')
  }
  return []
}
