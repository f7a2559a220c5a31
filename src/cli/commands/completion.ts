import type { Command } from 'commander'
import { DevstackError } from '../../core/error.js'
import type { CommandContext } from '../commands.js'
import { print } from '../io.js'

/** `devstack completion`: verbs and their flags, for three shells; made from the command tree itself. */
export function completion(context: CommandContext, shell: string, program: Command): Promise<number> {
  const write = WRITERS[shell]
  if (write === undefined)
    throw new DevstackError('USAGE', `no completion for ${shell}`, {
      hint: 'devstack completion bash, zsh or fish',
    })
  print(context.io, write(verbsOf(program)))
  return Promise.resolve(0)
}

interface Verb {
  readonly name: string
  readonly description: string
  readonly flags: readonly string[]
}

function verbsOf(program: Command): readonly Verb[] {
  const global = flagsOf(program)
  const verbs = program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    flags: [...flagsOf(command), ...global],
  }))
  return [...verbs, { name: 'help', description: 'show help for a verb', flags: [] }]
}

function flagsOf(command: Command): readonly string[] {
  return [...command.options.flatMap((option) => option.long ?? []), '--help']
}

const WRITERS: Readonly<Record<string, (verbs: readonly Verb[]) => string>> = {
  bash: (verbs) => `_devstack() {
  local word="\${COMP_WORDS[COMP_CWORD]}" verb="\${COMP_WORDS[1]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${verbs.map((verb) => verb.name).join(' ')}" -- "$word"))
    return
  fi
  case "$verb" in
${verbs.map((verb) => `    ${verb.name}) COMPREPLY=($(compgen -W "${verb.flags.join(' ')}" -- "$word")) ;;`).join('\n')}
  esac
}
complete -o default -F _devstack devstack`,
  zsh: (verbs) => `#compdef devstack
_devstack() {
  local -a verbs
  verbs=(
${verbs.map((verb) => `    ${quote(`${verb.name}:${verb.description.replaceAll(':', ' ')}`)}`).join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  case "$words[2]" in
${verbs.map((verb) => `    ${verb.name}) compadd -- ${verb.flags.join(' ')} ;;`).join('\n')}
  esac
}
compdef _devstack devstack`,
  fish: (verbs) =>
    verbs
      .flatMap((verb) => [
        `complete -c devstack -n __fish_use_subcommand -f -a ${verb.name} -d ${quote(verb.description)}`,
        ...verb.flags.map(
          (flag) => `complete -c devstack -n '__fish_seen_subcommand_from ${verb.name}' -l ${flag.slice(2)}`,
        ),
      ])
      .join('\n'),
}

/** For zsh and fish: a single-quoted word; an apostrophe becomes a typographic one. */
function quote(text: string): string {
  return `'${text.replaceAll("'", '’')}'`
}
