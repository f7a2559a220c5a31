import type { ImageEngine } from './engine.js'
import { parseReference } from './reference.js'

/** Whether a registry answers. */
export interface RegistryAnswer {
  readonly host: string
  readonly answers: boolean
  /** Why not, in the engine's words; empty where it answers. */
  readonly why: string
}

/** Asks the registry of a reference; each registry once. */
export type RegistryProbe = (reference: string, signal: AbortSignal) => Promise<RegistryAnswer>

const DEADLINE_MS = 4000

/** The engine is asked, not the host: it is the engine that pulls, maybe through a proxy or a mirror of its own. */
export function createRegistryProbe(engine: ImageEngine, deadlineMs: number = DEADLINE_MS): RegistryProbe {
  const asked = new Map<string, Promise<RegistryAnswer>>()
  return (reference, signal) => {
    const { host } = parseReference(reference)
    const known = asked.get(host)
    if (known !== undefined) return known
    const answer = ask(engine, reference, host, deadlineMs, signal)
    asked.set(host, answer)
    // A run that was cancelled says nothing about the registry.
    answer.catch(() => asked.delete(host))
    return answer
  }
}

async function ask(
  engine: ImageEngine,
  reference: string,
  host: string,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<RegistryAnswer> {
  const deadline = AbortSignal.timeout(deadlineMs)
  try {
    await engine.inspectDistribution(reference, AbortSignal.any([signal, deadline]))
    return { host, answers: true, why: '' }
  } catch (error) {
    signal.throwIfAborted()
    if (deadline.aborted) return { host, answers: false, why: `no answer in ${String(deadlineMs / 1000)} s` }
    if (registryRefused(error)) return { host, answers: true, why: '' }
    const text = describe(error)
    if (isAboutRegistry(text)) return { host, answers: false, why: text }
    throw error
  }
}

/** An answer that is a refusal is an answer: the image is private, missing, or there were too many questions. */
function registryRefused(error: unknown): boolean {
  const { statusCode } = error as { statusCode?: number }
  if (statusCode === 401 || statusCode === 403 || statusCode === 404 || statusCode === 429) return true
  return /manifest unknown|unauthorized|access denied|denied: |toomanyrequests|not found: manifest/i.test(
    describe(error),
  )
}

/** The engine itself answered, with what it heard (or did not) from the registry. */
function isAboutRegistry(text: string): boolean {
  return /\/v2\/|dial tcp|lookup |timeout|deadline exceeded|tls|x509|certificate|proxyconnect|no route|EOF|connection re|registry/i.test(
    text,
  )
}

function describe(error: unknown): string {
  const { json, message } = error as { json?: { message?: string } | null; message?: string }
  const text = json?.message ?? message ?? String(error)
  return text
    .replace(/^\(HTTP code \d+\) [^-]*- /, '')
    .replace(/^Get "[^"]*": /, '')
    .trim()
}
