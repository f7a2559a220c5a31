import { Command, CommanderError, Option } from 'commander'
import { DevstackError, exitCodeOf, formatError } from '../core/error.js'
import { ENGINE_KINDS, type EngineKind } from '../core/project.js'
import { addCommands } from './commands.js'
import { nearError } from './near.js'
import { printError, printJson, type GlobalOptions, type Io } from './io.js'
import { reportBug } from './bug.js'
import { version } from './version.js'

/** Runs one command line and resolves with its exit code. The one place that turns failures into codes. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  let code = 0
  const program = buildProgram(io, (result) => {
    code = result
  })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    return report(error, argv, io)
  }
}

/** The whole command tree: what `help` and `completion` read, too. */
function buildProgram(io: Io, finish: (code: number) => void): Command {
  const program = new Command('devstack')
    .description('A full stack on this machine: up in one command, live with every save.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .addOption(new Option('--config <file>', 'devstack.yaml or a compose file').env('DEVSTACK_CONFIG'))
    .option('--project-name <name>', 'name of the stack, instead of the one the files give')
    .option('--cwd <dir>', 'look for the project from this folder upwards')
    .addOption(new Option('--engine <engine>', 'what runs the stack').choices(ENGINE_KINDS))
    .option('--no-color', 'no colours (NO_COLOR does the same)')
    .option('--verbose', 'say more about what is done')
    .option('--yes', 'answer yes to questions')
    .addHelpText(
      'after',
      `
Examples:
  devstack up                 bring the stack up, watch the sources
  devstack logs -f api        follow one service's log
  devstack exec api -- pytest run a command in a container
  devstack down               stop and remove it; the data stays

Exit codes: 0 done, 1 the stack is not as asked, 2 the question makes no sense, 3 the machine lacks something.`,
    )
    .configureHelp({ showGlobalOptions: true, helpWidth: Math.min(io.stdout.columns || 100, 120) })
    .showHelpAfterError('(devstack help shows the verbs)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
    })
  addCommands(program, {
    io,
    globals: () => globalsOf(program, io),
    finish,
  })
  for (const command of program.commands) command.exitOverride()
  return program
}

function globalsOf(program: Command, io: Io): GlobalOptions {
  const options = program.opts<{
    config?: string
    projectName?: string
    cwd?: string
    engine?: EngineKind
    color: boolean
    verbose?: boolean
    yes?: boolean
  }>()
  return {
    config: options.config ?? null,
    projectName: options.projectName ?? null,
    cwd: options.cwd ?? io.cwd,
    engine: options.engine ?? null,
    server: null,
    color: options.color && (io.env['NO_COLOR'] ?? '') === '',
    verbose: options.verbose === true,
    yes: options.yes === true || io.env['CI'] === 'true',
  }
}

function report(error: unknown, argv: readonly string[], io: Io): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (!(error instanceof DevstackError)) {
    printError(io, reportBug(error, io.env))
    return 70
  }
  const info = error.toInfo()
  if (argv.includes('--json')) printJson(io, { type: 'failed', ...info })
  printError(io, formatError(nearError(info, io.cwd)))
  return exitCodeOf(error.code)
}
