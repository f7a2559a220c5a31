import { DevstackError } from '../../core/error.js'
import type {
  AttachContext,
  DeliveredFiles,
  LivePreset,
  Reloader,
  TakeUpResult,
} from '../../orchestrator/ports.js'
import { Broken, partsOf, textOf, textsOf, type Message } from '../json-lines.js'
import { brokenBy, createLink, type Link } from '../link.js'
import { supportFrom } from '../support.js'
import { failureOf, oneAtATime } from '../take-up.js'

const FOLDER = '/.devstack/react'

const NODES = ['node', '/usr/local/bin/node', '/usr/bin/node', 'nodejs']

/** What is installed when it changes. Vite keeps what it has loaded, so it starts again. */
const DEPENDENCIES =
  /(^|\/)(package\.json|package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|yarn\.lock|bun\.lockb?)$/

/** `folder`: that of the programs that run beside Vite, on the host. */
export function reactLive(folder: string): LivePreset {
  return {
    support: supportFrom(folder, '.mjs', FOLDER),
    attach,
    offer: () => null,
  }
}

async function attach(context: AttachContext, signal: AbortSignal): Promise<Reloader> {
  const life = new AbortController()
  const link = createLink({
    context,
    commands: NODES.map((node) => [node, `${FOLDER}/vite-watch.mjs`, settingsFor(context)]),
    told: ({ type, error }) => {
      if (type === 'changed' && !life.signal.aborted) context.changed(failure(error))
    },
  })
  const hello = await link.connect(signal).catch((error: unknown) => brokenBy(error))
  const reason =
    hello instanceof Broken ? hello.message : hello['server'] === null ? textOf(hello['reason']) : null
  const close = (): void => {
    life.abort(new DevstackError('CANCELLED', 'Vite is not watched any more'))
    link.close()
  }
  if (reason !== null) {
    const unproven: TakeUpResult = { type: 'unproven', reason }
    return { server: null, first: unproven, takeUp: () => Promise.resolve(unproven), close }
  }
  return {
    server: { name: 'Vite', reason: null },
    first: { type: 'taken', what: 'start', detail: 'Vite serves' },
    takeUp: oneAtATime((files, signal) => prove(link, files, signal), life.signal),
    close,
  }
}

/** Where Vite's root may be, and which folders are the user's own: there nothing is written. */
function settingsFor({ service }: AttachContext): string {
  const targets = service.watch.flatMap(({ target }) => (target === null ? [] : [target]))
  const folders = [...new Set(targets.flatMap((target) => [target, target.replace(/\/[^/]*$/, '') || '/']))]
  return JSON.stringify({ wait: 60, folders, mounts: service.binds.map(({ target }) => target) })
}

async function prove(link: Link, files: DeliveredFiles, signal: AbortSignal): Promise<TakeUpResult> {
  const { written, deleted } = files
  const dependency = [...written, ...deleted].find((path) => DEPENDENCIES.test(path))
  if (dependency !== undefined) {
    return {
      type: 'restart',
      reason: `${dependency} changed, and Vite keeps the packages that it has loaded`,
    }
  }
  const answer = await link.ask({ type: 'prove', written, deleted }, signal)
  return answer === null
    ? { type: 'unproven', reason: 'the connection to the container broke twice' }
    : resultOf(answer)
}

function resultOf(message: Message): TakeUpResult {
  const reason = textOf(message['reason']) ?? 'Vite was asked in vain'
  switch (message.type) {
    case 'taken':
      return {
        type: 'taken',
        what: textOf(message['what']) ?? 'update',
        detail: textOf(message['detail']) ?? '',
      }
    case 'failed':
      return failure(message['error'])
    case 'restart':
      return { type: 'restart', reason }
    default:
      return { type: 'unproven', reason }
  }
}

function failure(value: unknown): TakeUpResult {
  const error = partsOf(value)
  return failureOf(error, 'Vite failed', textsOf(error['output']))
}
