import { createHash } from 'node:crypto'
import { ruleFor, targetOf } from '../../core/update.js'
import type { LiveInstance } from './live-instance.js'
import type { ServiceLive } from './service-live.js'

/** The other way, for files that devstack.yaml names: what a command wrote in the container comes back to the host. */
export async function bringBack(owner: ServiceLive, live: LiveInstance): Promise<void> {
  const { options, service, batch } = owner
  const files: string[] = []
  for (const path of options.bringBack(service.name)) {
    const reason = await bringOneBack(owner, live, path)
    if (reason === null) files.push(path)
    else if (reason !== SAME) {
      const message = `${service.name}: ${path} does not come back: ${reason}`
      options.store.emit({ type: 'warned', message, hint: null, place: null })
    }
  }
  const about = { batch, service: service.name, instance: live.instance.id }
  if (files.length > 0) options.store.emit({ type: 'broughtBack', ...about, files })
}

const SAME = 'it is the same'

/** Null where it came back, else why not. */
async function bringOneBack(owner: ServiceLive, live: LiveInstance, path: string): Promise<string | null> {
  const { engine, sources } = owner.options
  const rule = ruleFor(owner.service, path)
  const target = rule === null ? null : targetOf(rule, path)
  if (target === null) return 'no watch rule says where it is in the container'
  const lines: string[] = []
  // Lines of a program are cleaned of what a terminal could take for a command: base64 has nothing of it.
  const request = { argv: ['base64', target], user: null, workdir: null, env: {} }
  const exitCode = await engine.run(live.instance, request, (line) => lines.push(line), owner.signal)
  if (exitCode !== 0) return lines.at(-1) ?? `base64 ended with ${String(exitCode)}`
  const content = Buffer.from(lines.join(''), 'base64')
  const sha256 = createHash('sha256').update(content).digest('hex')
  const [file] = (await sources.scan(owner.service, [path], owner.signal)).files
  if (file?.sha256 === sha256) return SAME
  if (file !== undefined && file.sha256 !== live.copy.held.get(target))
    return 'it was changed on the host meanwhile'
  // First: the watcher tells of the write, and then there is nothing to deliver.
  await live.copy.learn(target, sha256)
  try {
    await sources.replace(path, content)
    return null
  } catch (error) {
    // A folder that is not there, a full disk: said, and nothing else waits for it.
    return error instanceof Error ? error.message : String(error)
  }
}
