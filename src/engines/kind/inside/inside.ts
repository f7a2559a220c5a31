import type { ExecRequest } from '../../../orchestrator/ports.js'
import type { Kube } from '../kube-ports.js'
import type { Pod } from '../pods.js'
import type { AgentImage } from './agent-container.js'
import { createAgents } from './agents.js'
import { createDeliverer } from './deliver.js'
import type { Deliverer } from './deliver.js'
import { createProcesses } from './processes.js'
import type { Processes } from './processes.js'
import { readAgentProgram } from './program.js'
import type { AgentProgram } from './program.js'
import type { InsideTarget } from './target.js'
import { execWithTerminal } from './terminal.js'
import type { Terminal } from './terminal.js'

export interface InsideOptions {
  readonly kube: Kube
  readonly image: AgentImage
  /** `src/engines/kind/inside/agent` of the installed package. */
  readonly agentFolder: string
}

/** What is done inside of the containers of a stack's pods. */
export interface Inside extends Deliverer, Processes {
  /** Has everything ready, so that the first delivery need not wait. */
  prepare(target: InsideTarget, signal: AbortSignal): Promise<void>
  /**
   * To be called for each pod that is seen before its containers run, with those that will be worked in: an agent that is
   * asked for then is there a second or two sooner than one that is asked for once they run. Asks once a container.
   */
  announce(pod: Pod, containers: readonly string[]): void
  /** As {@link Engine.exec}, in one container; `terminal` is this process's own in general. */
  exec(
    target: InsideTarget,
    request: Omit<ExecRequest, 'service'>,
    terminal: Terminal,
    signal: AbortSignal,
  ): Promise<number>
  /** Closes all connections. The agents' containers stay as long as their pods. */
  close(): void
}

export function createInside({ kube, image, agentFolder }: InsideOptions): Inside {
  let program: Promise<AgentProgram> | null = null
  const agents = createAgents({ kube, image, program: () => (program ??= readAgentProgram(agentFolder)) })
  return {
    ...createDeliverer(kube, agents),
    ...createProcesses(kube, agents),
    async prepare(target, signal) {
      await agents.get(target, signal)
    },
    announce: (pod, containers) => agents.announce(pod, containers),
    exec: (target, request, terminal, signal) =>
      execWithTerminal(kube, agents, target, request, terminal, signal),
    close: () => agents.close(),
  }
}
