/** One instruction of a Dockerfile, its lines joined. */
export interface Instruction {
  /** In capitals. */
  readonly name: string
  /** What follows the name, as it is written. */
  readonly rest: string
}

interface Stage {
  readonly names: readonly string[]
  readonly base: string
  readonly instructions: readonly Instruction[]
}

/**
 * The instructions of the stage `target` (by default the last one) after those of the stages of the same file that it is
 * built from, the outermost first; none where there is no such stage.
 */
export function stageChain(dockerfile: string, target: string | null): readonly (readonly Instruction[])[] {
  const stages = stagesOf(dockerfile)
  const wanted = target?.toLowerCase()
  let index =
    wanted === undefined ? stages.length - 1 : stages.findIndex(({ names }) => names.includes(wanted))
  const chain: (readonly Instruction[])[] = []
  for (let stage = stages[index]; stage !== undefined; stage = stages[index]) {
    const { base, instructions } = stage
    chain.unshift(instructions)
    // Only what stands above can be built upon.
    index = stages.slice(0, index).findLastIndex(({ names }) => names.includes(base))
  }
  return chain
}

function stagesOf(dockerfile: string): readonly Stage[] {
  const stages: { names: string[]; base: string; instructions: Instruction[] }[] = []
  for (const instruction of instructionsOf(dockerfile)) {
    if (instruction.name !== 'FROM') stages.at(-1)?.instructions.push(instruction)
    else {
      const [, base = '', name] = /^(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?/i.exec(instruction.rest) ?? []
      const names = [String(stages.length), ...(name === undefined ? [] : [name.toLowerCase()])]
      stages.push({ names, base: base.toLowerCase(), instructions: [] })
    }
  }
  return stages
}

/** Comments, continued lines and here-documents understood. */
function instructionsOf(dockerfile: string): readonly Instruction[] {
  const escape = /^(?:#[^\n]*\n)*?#\s*escape\s*=\s*(\S)/i.exec(dockerfile)?.[1] ?? '\\'
  const found: Instruction[] = []
  let text = ''
  const documents: string[] = []
  for (const line of dockerfile.split(/\r?\n/)) {
    const [document] = documents
    if (document !== undefined) {
      if (line.replace(/^\t+/, '') === document) documents.shift()
      continue
    }
    // A comment line between continued lines does not end them, nor does an empty one.
    if (/^\s*(#|$)/.test(line)) continue
    const trimmed = line.trimEnd()
    text += trimmed.endsWith(escape) ? `${trimmed.slice(0, -1)} ` : trimmed
    if (trimmed.endsWith(escape)) continue
    const [, name = '', rest = ''] = /^\s*(\S+)\s*(.*)$/.exec(text) ?? []
    found.push({ name: name.toUpperCase(), rest: rest.trim() })
    if (/^(RUN|COPY|ADD)$/i.test(name)) documents.push(...hereDocuments(rest))
    text = ''
  }
  return found
}

function hereDocuments(rest: string): readonly string[] {
  return [...rest.matchAll(/(?<!<)<<-?(["']?)([A-Za-z_][A-Za-z0-9_]*)\1/g)].map((match) => match[2] ?? '')
}
