import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Event, ServiceSummary } from '../core/events.js'
import { reduce } from '../core/reduce.js'
import { initialState, type StackState } from '../core/state.js'
import type { SessionClient } from '../host/session/client.js'
import { writePrivateFile } from '../host/project/state.js'
import type { Store } from '../orchestrator/store.js'
import type { Source } from '../ui/source.js'
import type { StackRef } from './stack.js'

/** The services as the last session knew them. */
const SERVICES_FILE = 'services.json'

/**
 * What the terminal shows before the session answers: the services that are known already. Once it is connected it is the
 * session, and its services take their place as soon as it has read the project.
 */
export function createEarlySource(known: StackState, connecting: Promise<SessionClient>): Source {
  type Listener = (event: Event | null, state: StackState) => void
  const listeners = new Set<Listener>()
  let client: SessionClient | null = null
  const shown = (state: StackState): StackState =>
    Object.keys(state.services).length === 0 ? { ...state, services: known.services } : state
  const tell = (event: Event | null, state: StackState): void => {
    for (const listener of listeners) listener(event, shown(state))
  }
  connecting.then(
    (connected) => {
      client = connected
      connected.subscribe(tell)
      tell(null, connected.getState())
    },
    // Whoever waits for the connection tells why there is none.
    () => undefined,
  )
  return {
    getState: () => (client === null ? known : shown(client.getState())),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    get tails() {
      return client?.tails ?? {}
    },
    send: async (intent) => (await connecting).send(intent),
  }
}

/** The services that the last session of this stack read; without one those that the Compose files name. */
export async function knownServices(stack: StackRef): Promise<StackState> {
  const at = new Date().toISOString()
  const events: readonly Event[] = [
    {
      type: 'sessionStarted',
      project: stack.name,
      folder: stack.folder,
      engine: stack.engine,
      pid: 0,
      version: '',
      seq: 0,
      at,
    },
    { type: 'projectResolved', services: await readServices(stack), seq: 0, at },
  ]
  return { ...events.reduce(reduce, initialState), session: null }
}

/** Keeps the services of a session for the next one's first frame. */
export function rememberServices(store: Store, stateFolder: string): void {
  store.subscribe((event) => {
    if (event.type !== 'projectResolved') return
    // Only a first frame depends on it: one that cannot be written is made without.
    writePrivateFile(join(stateFolder, SERVICES_FILE), JSON.stringify(event.services)).catch(() => undefined)
  })
}

async function readServices(stack: StackRef): Promise<readonly ServiceSummary[]> {
  try {
    return JSON.parse(
      await readFile(join(stack.stateFolder, SERVICES_FILE), 'utf8'),
    ) as readonly ServiceSummary[]
  } catch {
    return namedServices(stack.composeFiles)
  }
}

/** Only names: what they are is told when the project was read. */
async function namedServices(files: readonly string[]): Promise<readonly ServiceSummary[]> {
  const { readYaml } = await import('../core/yaml.js')
  const texts = await Promise.all(files.map(async (file) => [await readFile(file, 'utf8'), file] as const))
  const names = texts.flatMap(([text, file]) => readYaml(text, file).documents.flatMap(servicesOf))
  return [...new Set(names)].toSorted().map((name) => ({
    name,
    oneShot: false,
    hasHealthCheck: false,
    dependsOn: [],
    ports: [],
    built: false,
    watched: false,
  }))
}

function servicesOf(document: unknown): readonly string[] {
  if (typeof document !== 'object' || document === null || !('services' in document)) return []
  const { services } = document
  return typeof services === 'object' && services !== null ? Object.keys(services) : []
}
