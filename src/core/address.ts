import type { ServiceState, StackState } from './state.js'

/** What a service publishes first, and how many more: `127.0.0.1:8080 +1`; empty where it publishes nothing. */
export function addressOf(service: ServiceState): string {
  const [first, ...rest] = service.ports
  if (first === undefined) return ''
  const more = rest.length === 0 ? '' : ` +${String(rest.length)}`
  return `${hostOf(first.hostIp)}:${String(first.port)}${more}`
}

/** Where a browser on this machine reaches what listens on `hostIp`. */
function hostOf(hostIp: string): string {
  if (hostIp === '' || hostIp === '0.0.0.0') return '127.0.0.1'
  if (hostIp === '::') return '[::1]'
  return hostIp.includes(':') ? `[${hostIp}]` : hostIp
}

/** Ports whose service speaks another protocol than HTTP: a browser has nothing to do there. */
const NOT_HTTP: ReadonlySet<number> = new Set([
  22, 25, 1433, 1521, 3306, 5432, 5672, 6379, 9042, 9092, 11_211, 27_017,
])

/** What a browser can open of one service, or null. */
export function urlOf(state: StackState, service: string): string | null {
  const port = state.services[service]?.ports.find((candidate) => !NOT_HTTP.has(candidate.target))
  if (port !== undefined) return `http://${hostOf(port.hostIp)}:${String(port.port)}`
  if ((state.services[service]?.ports.length ?? 0) > 0) return null
  return state.ready?.urls.find((candidate) => candidate.service === service)?.url ?? null
}

/** The stack's own address: of the service that has one and that no other needs; null where there is none. */
export function mainUrl(state: StackState): string | null {
  const services = Object.values(state.services)
  const needed = new Set(services.flatMap((service) => service.summary.dependsOn))
  const fronts = services.filter((service) => !needed.has(service.name))
  for (const service of [...fronts, ...services]) {
    const url = urlOf(state, service.name)
    if (url !== null) return url
  }
  return null
}
