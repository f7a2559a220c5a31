import { DevstackError } from '../../core/error.js'
import type { Approval } from '../../core/state.js'
import { didYouMean } from '../../core/suggest.js'
import type { CommandContext } from '../commands.js'
import { print, printJson, type Io } from '../io.js'
import { withRunning } from '../join.js'
import { openStack } from '../stack.js'

interface ApproveOptions {
  readonly list?: boolean
  readonly json?: boolean
}

/** `devstack approve`: lets go what waits for a person; without a hold, or with `--list`, says what waits. */
export async function approve(
  context: CommandContext,
  hold: string | undefined,
  options: ApproveOptions,
): Promise<number> {
  const { io } = context
  const stack = await openStack(context)
  return withRunning(stack, 'what waits for you is', async (client) => {
    const { approvals } = client.getState()
    if (hold === undefined || options.list === true) {
      printList(io, approvals, options.json === true)
      return 0
    }
    const approval = find(approvals, hold)
    await client.send({ type: 'approve', hold })
    if (options.json === true) printJson(io, approval)
    else print(io, `approved ${hold}: ${approval.text}`)
    return 0
  })
}

function find(approvals: readonly Approval[], hold: string): Approval {
  const found = approvals.find(({ id }) => id === hold)
  if (found !== undefined) return found
  const ids = approvals.map(({ id }) => id)
  throw new DevstackError('USAGE', `nothing called "${hold}" waits`, {
    cause: ids.length === 0 ? 'nothing waits for you' : `what waits: ${ids.join(', ')}`,
    hint: didYouMean(hold, ids) ?? 'devstack approve --list',
  })
}

function printList(io: Io, approvals: readonly Approval[], json: boolean): void {
  if (json) {
    for (const approval of approvals) printJson(io, approval)
    return
  }
  if (approvals.length === 0) print(io, 'nothing waits for you')
  for (const { id, text, detail } of approvals) {
    print(io, `${id}  ${text}`)
    for (const line of detail) print(io, `  ${line}`)
  }
}
