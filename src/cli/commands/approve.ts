import { DevstackError } from '../../core/error.js'
import type { Approval } from '../../core/state.js'
import { carryOut } from '../carry-out.js'
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
    // Looked up before: it is no longer in the list afterwards. What is not there the session refuses itself.
    const approval = approvals.find(({ id }) => id === hold)
    const failed = await carryOut(client, { type: 'approve', hold })
    if (failed !== null)
      throw new DevstackError('OPERATION_FAILED', `${hold} was approved, and failed`, {
        cause: failed,
        hint: 'devstack status',
      })
    if (options.json === true) printJson(io, approval ?? { id: hold })
    else print(io, `approved ${hold}${approval === undefined ? '' : `: ${approval.text}`}`)
    return 0
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
