import { readdir } from 'node:fs/promises'
import { DevstackError } from '../../core/error.js'
import type {
  AttachContext,
  DeliveredFiles,
  InsideProcess,
  LivePreset,
  Reloader,
  TakeUpResult,
} from '../../orchestrator/ports.js'
import { FLASK_FOLDER } from '../command.js'
import { Broken, converse, textOf, type Conversation, type Message } from '../json-lines.js'
import { isEverything, oneAtATime, orAborted } from '../take-up.js'
import { offerMigration } from './migrations.js'
import { changedResult, firstResult, takenResult } from './results.js'

/** The client needs nothing but the standard library, so any Python does. */
const PYTHONS = ['python3', 'python', '/usr/local/bin/python3', '/usr/bin/python3', '/venv/bin/python']

/** A server that does not answer for this long is looked at: it may have been started without the reloader. */
const GRACE_MS = 3000

/** What installs packages when it changes: the reloader then starts anew, with its sockets kept. */
const DEPENDENCIES =
  /(^|\/)(requirements[^/]*\.(txt|in)|pyproject\.toml|uv\.lock|poetry\.lock|Pipfile(\.lock)?|setup\.(py|cfg))$/

/** `folder`: that of the reloader's sources on the host. */
export function flaskLive(folder: string): LivePreset {
  return {
    async support() {
      const files = await readdir(folder, { recursive: true })
      return files
        .filter((file) => file.endsWith('.py'))
        .sort()
        .map((file) => ({
          type: 'write',
          source: `${folder}/${file}`,
          target: `${FLASK_FOLDER}/${file.replaceAll('\\', '/')}`,
          mode: 0o644,
        }))
    },
    attach,
    offer: offerMigration,
  }
}

async function attach(context: AttachContext, signal: AbortSignal): Promise<Reloader> {
  const life = new AbortController()
  const told = (message: Message): void => {
    const result = changedResult(message)
    if (result !== null && !life.signal.aborted) context.changed(result)
  }
  const link = createLink(context, told)
  const first = await link.connect(signal).catch((error: unknown) => unlessBroken(error))
  if (first instanceof Broken) {
    return {
      server: null,
      first: { type: 'unproven', reason: first.message },
      takeUp: () => Promise.resolve({ type: 'restart', reason: first.message }),
      close: () => undefined,
    }
  }
  const reason = first['server'] === 'original' ? (textOf(first['reason']) ?? 'it says no reason') : null
  const name = reason === null ? 'devstack reloader' : "the service's own server"
  const work = (files: DeliveredFiles, signal: AbortSignal): Promise<TakeUpResult> =>
    reason === null ? reload(link, files, signal) : Promise.resolve({ type: 'restart', reason })
  return {
    server: { name, reason },
    first: firstResult(first),
    takeUp: oneAtATime(work, life.signal),
    close() {
      life.abort(new DevstackError('CANCELLED', 'the reloader is not needed any more'))
      link.close()
    },
  }
}

/** Tells the server; where the connection broke, once more over a new one. */
async function reload(link: Link, files: DeliveredFiles, signal: AbortSignal): Promise<TakeUpResult> {
  const request = requestFor(files)
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      const talk = await link.talk(signal)
      return takenResult(await orAborted(talk.ask(request), signal))
    } catch (error) {
      unlessBroken(error)
    }
  }
  return { type: 'unproven', reason: 'the connection to the reloader broke twice' }
}

function requestFor(files: DeliveredFiles): Message {
  const { written, deleted } = files
  const paths = [...written, ...deleted]
  const what = isEverything(files)
    ? 'app'
    : paths.some((path) => DEPENDENCIES.test(path))
      ? 'dependencies'
      : 'auto'
  return { type: 'reload', what, files: written, deleted }
}

function unlessBroken(error: unknown): Broken {
  if (error instanceof Broken) return error
  if (error instanceof DevstackError && error.code === 'EXEC_FAILED') return new Broken(error.message, null)
  throw error
}

/** The connection to the reloader, made anew when it is needed. */
interface Link {
  connect(signal: AbortSignal): Promise<Message>
  talk(signal: AbortSignal): Promise<Conversation>
  close(): void
}

function createLink(context: AttachContext, told: (message: Message) => void): Link {
  let talk: Conversation | null = null
  let python: string | null = null
  const connect = async (signal: AbortSignal): Promise<Message> => {
    const candidates = python === null ? PYTHONS : [python]
    let failure = new Broken('the container has no Python to talk to the reloader', null)
    for (const candidate of candidates) {
      try {
        const hello = await greet(candidate, signal)
        python = candidate
        return hello
      } catch (error) {
        failure = unlessBroken(error)
        if (!isMissing(error)) throw failure
      }
    }
    throw failure
  }
  const greet = async (python: string, signal: AbortSignal): Promise<Message> => {
    const opened = converse(await openClient(context, python, signal), told)
    try {
      const hello = await helloOf(context, opened, signal)
      talk = opened
      return hello
    } catch (error) {
      opened.close()
      throw error
    }
  }
  return {
    connect,
    async talk(signal) {
      if (talk === null || talk.over) await connect(signal)
      return talk ?? Promise.reject(new Broken('the reloader does not answer', null))
    },
    close: () => talk?.close(),
  }
}

function openClient(
  { engine, instance }: AttachContext,
  python: string,
  signal: AbortSignal,
): Promise<InsideProcess> {
  const argv = [python, '-B', '-S', '-E', `${FLASK_FOLDER}/ctl.py`, '--wait', '60']
  return engine.open(instance, { argv, user: null, workdir: null, env: {} }, signal)
}

/** 126 and 127: there is no such program. Some engines tell it at once instead. */
function isMissing(error: unknown): boolean {
  if (error instanceof Broken) return error.exitCode === 127 || error.exitCode === 126
  return error instanceof DevstackError && error.code === 'EXEC_FAILED'
}

/** The server's greeting. Where the container was started without the reloader nobody will ever greet. */
async function helloOf(context: AttachContext, talk: Conversation, signal: AbortSignal): Promise<Message> {
  const look = new AbortController()
  const nobody = lookLater(context, AbortSignal.any([signal, look.signal]))
  try {
    return await orAborted(Promise.race([talk.hello, nobody]), signal)
  } finally {
    look.abort()
    nobody.catch(() => undefined)
  }
}

/** Rejects where the first process does not name the reloader; else never ends. */
async function lookLater({ engine, instance }: AttachContext, signal: AbortSignal): Promise<never> {
  await orAborted(new Promise((resolve) => setTimeout(resolve, GRACE_MS).unref()), signal)
  const lines: string[] = []
  const request = { argv: ['cat', '/proc/1/cmdline'], user: null, workdir: null, env: {} }
  const exitCode = await engine.run(instance, request, (line) => lines.push(line), signal).catch(() => null)
  if (exitCode === 0 && !lines.join('').includes(`${FLASK_FOLDER}/run.py`)) {
    throw new Broken('the container was started without the reloader', null)
  }
  return new Promise<never>(() => undefined)
}
