import { setTimeout as sleep } from 'node:timers/promises'
import { DevstackError } from '../../core/error.js'
import type { Service } from '../../core/project.js'
import { ruleFor } from '../../core/update.js'
import type {
  AttachContext,
  DeliveredFiles,
  LivePreset,
  Reloader,
  TakeUpResult,
} from '../../orchestrator/ports.js'
import { FLASK_FOLDER } from '../command.js'
import { Broken, textOf } from '../json-lines.js'
import { brokenBy, createLink, type Link } from '../link.js'
import { supportFrom } from '../support.js'
import { isEverything, oneAtATime } from '../take-up.js'
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
    support: supportFrom(folder, '.py', FLASK_FOLDER),
    attach,
    offer: offerMigration,
  }
}

async function attach(context: AttachContext, signal: AbortSignal): Promise<Reloader> {
  const life = new AbortController()
  const link = createLink({
    context,
    commands: PYTHONS.map((python) => [python, '-B', '-S', '-E', `${FLASK_FOLDER}/ctl.py`, '--wait', '60']),
    told: (message) => {
      const result = changedResult(message)
      if (result !== null && !life.signal.aborted) context.changed(result)
    },
    nobody: (signal) => lookLater(context, signal),
  })
  const hello = await link.connect(signal).catch((error: unknown) => brokenBy(error))
  if (hello instanceof Broken) {
    return {
      server: null,
      first: { type: 'unproven', reason: hello.message },
      takeUp: () => Promise.resolve({ type: 'restart', reason: hello.message }),
      close: () => undefined,
    }
  }
  const reason = hello['server'] === 'original' ? (textOf(hello['reason']) ?? 'it says no reason') : null
  const name = reason === null ? 'devstack reloader' : "the service's own server"
  const work = (files: DeliveredFiles, signal: AbortSignal): Promise<TakeUpResult> =>
    reason === null
      ? reload(link, files, whatOf(files, context.service), signal)
      : Promise.resolve({ type: 'restart', reason })
  return {
    server: { name, reason },
    first: firstResult(hello),
    takeUp: oneAtATime(work, life.signal),
    close() {
      life.abort(new DevstackError('CANCELLED', 'the reloader is not needed any more'))
      link.close()
    },
  }
}

async function reload(
  link: Link,
  { written, deleted }: DeliveredFiles,
  what: Reload,
  signal: AbortSignal,
): Promise<TakeUpResult> {
  const answer = await link.ask({ type: 'reload', what, files: written, deleted }, signal)
  return answer === null
    ? { type: 'unproven', reason: 'the connection to the reloader broke twice' }
    : takenResult(answer)
}

type Reload = 'app' | 'dependencies' | 'auto'

/** A file after which the service has a command run names what that installs, whatever the file is called. */
function whatOf(files: DeliveredFiles, { watch }: Pick<Service, 'watch'>): Reload {
  if (isEverything(files)) return 'app'
  const inside = watch.flatMap((rule) => (rule.target === null ? [] : [{ ...rule, path: rule.target }]))
  const installs = (path: string): boolean =>
    DEPENDENCIES.test(path) || ruleFor({ watch: inside }, path)?.action === 'sync+exec'
  return [...files.written, ...files.deleted].some(installs) ? 'dependencies' : 'auto'
}

/** Rejects where the first process does not name the reloader; else never ends. */
async function lookLater({ engine, instance }: AttachContext, signal: AbortSignal): Promise<never> {
  await sleep(GRACE_MS, undefined, { signal, ref: false })
  const lines: string[] = []
  const request = { argv: ['cat', '/proc/1/cmdline'], user: null, workdir: null, env: {} }
  const exitCode = await engine.run(instance, request, (line) => lines.push(line), signal).catch(() => null)
  if (exitCode === 0 && !lines.join('').includes(`${FLASK_FOLDER}/run.py`)) {
    throw new Broken('the container was started without the reloader', null)
  }
  return new Promise<never>(() => undefined)
}
