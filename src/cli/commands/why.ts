import { DevstackError } from '../../core/error.js'
import { checkServices } from '../../core/project.js'
import type { ServiceState, StackState, UpdateRecord } from '../../core/state.js'
import { whyLines, whyRow } from '../../ui/why.js'
import type { CommandContext } from '../commands.js'
import { print, printJson, type Io } from '../io.js'
import { withRunning } from '../join.js'
import { nearPath } from '../near.js'
import { openStack, type StackRef } from '../stack.js'
import { formatTable } from '../table.js'

interface WhyOptions {
  readonly last: string
  readonly all?: boolean
  readonly json?: boolean
}

/** `devstack why`: from the saved file to the running code, and what is waited for now. */
export async function why(context: CommandContext, name: string, options: WhyOptions): Promise<number> {
  const most = options.all === true ? Infinity : count(options.last)
  const stack = await openStack(context)
  const state = await withRunning(stack, 'the updates are', (client) => Promise.resolve(client.getState()))
  checkServices([name], Object.keys(state.services))
  const service = state.services[name]
  if (service === undefined) return 2
  if (options.json === true) printJson(context.io, whyJson(stack, state, service, most))
  else printWhy(context.io, state, service, most)
  return 0
}

function count(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new DevstackError('USAGE', `${text} is no number of updates`, { hint: '--last 5, or --all' })
}

function printWhy(io: Io, state: StackState, service: ServiceState, most: number): void {
  const near = (path: string): string => nearPath(path, io.cwd)
  if (most !== Infinity) {
    for (const { text } of whyLines(state, service, most, near)) print(io, text)
    return
  }
  for (const { text } of whyLines(state, service, 0, near)) print(io, text)
  const rows = updatesOf(state, service, most).map((update) =>
    whyRow(update, near).map((cell, column) => (column === 0 ? `  ${cell}` : cell)),
  )
  if (rows.length > 0)
    for (const line of formatTable(['  NOTICED', 'ACTION', 'OUTCOME', 'FILES'], rows)) print(io, line)
}

function updatesOf(state: StackState, service: ServiceState, most: number): readonly UpdateRecord[] {
  return state.updates.filter((update) => update.service === service.name).slice(0, most)
}

/** `devstack.why/1`; its fields are a contract. */
function whyJson(stack: StackRef, state: StackState, service: ServiceState, most: number): object {
  return {
    schema: 'devstack.why/1',
    project: stack.name,
    service: service.name,
    freshness: service.freshness,
    server: service.server,
    approvals: state.approvals.filter(({ service: about }) => about === null || about === service.name),
    updates: updatesOf(state, service, most).map(({ service: _service, ...update }) => update),
  }
}
