import { Option, type Command } from 'commander'
import type { GlobalOptions, Io } from './io.js'

/** What every command gets. */
export interface CommandContext {
  readonly io: Io
  readonly globals: GlobalOptions
}

interface Wiring {
  readonly io: Io
  readonly globals: () => GlobalOptions
  readonly finish: (code: number) => void
}

/** An action that is loaded when its verb is called: a command line pays only for what it uses. */
type Run<Arguments extends readonly unknown[]> = (
  context: CommandContext,
  ...values: Arguments
) => Promise<number>

/** All verbs, in the order of `help`. */
export function addCommands(program: Command, wiring: Wiring): void {
  const { io, globals, finish } = wiring
  const run =
    <Arguments extends readonly unknown[]>(load: () => Promise<Run<Arguments>>) =>
    async (...values: unknown[]): Promise<void> => {
      const action = await load()
      finish(await action({ io, globals: globals() }, ...(values as unknown as Arguments)))
    }

  program
    .command('up [services...]')
    .description('bring up what is named (default: all) and what it needs, then watch the sources')
    .option('-d, --detach', 'return when the stack is ready; it keeps running and watching')
    .option('--no-watch', 'do not watch the sources')
    .option('--ui <ui>', 'tui, plain or json (default: tui on a terminal, else plain)')
    .option('--build', 'build images again also where nothing changed')
    .option('--profile <name>', 'a Compose profile; can be repeated', collect)
    .option('--free-ports', 'use a free port where a wanted one is taken, and keep it')
    .option('--auto-apply', 'apply a saved compose file, .env, Dockerfile or devstack.yaml at once, unasked')
    .addOption(
      new Option(
        '--server <server>',
        "what answers for Flask: devstack's reloader, or production's server; remembered until the other is asked for",
      ).choices(['reloader', 'production']),
    )
    .addHelpText(
      'after',
      examples('devstack up', 'devstack up --detach api', 'devstack up --ui json > events.ndjson'),
    )
    .action(run(async () => (await import('./commands/up.js')).up))

  program
    .command('down')
    .description('stop and remove containers and networks; data stays')
    .option('--volumes', 'also delete the data (asks first)')
    .option('--cluster', 'also remove the kind cluster, unless another stack lives in it (asks first)')
    .option('--json', 'print a summary as JSON')
    .addHelpText(
      'after',
      examples('devstack down', 'devstack down --volumes --yes', 'devstack down --cluster'),
    )
    .action(run(async () => (await import('./commands/down.js')).down))

  program
    .command('status')
    .description('one row a service')
    .option('--json', 'print devstack.status/1')
    .addHelpText('after', examples('devstack status', 'devstack status --json | jq .services[].phase'))
    .action(run(async () => (await import('./commands/status.js')).status))

  program
    .command('wait [services...]')
    .description('block until services are healthy, run the saved code, or are stopped')
    .option('--for <what>', 'healthy, fresh or stopped', 'healthy')
    .option('--timeout <time>', 'give up after: 60s, 5m', '60s')
    .option('--json', 'print what was awaited, and how long')
    .addHelpText('after', examples('devstack wait api --timeout 2m', 'devstack wait --for fresh api'))
    .action(run(async () => (await import('./commands/wait.js')).wait))

  program
    .command('why <service>')
    .description('the last update: file, rule, action, the time of each step; what it waits for now')
    .option('--last <updates>', 'tell so many updates', '1')
    .option('--all', 'every update that is kept, in a line each')
    .option('--json', 'print devstack.why/1')
    .addHelpText('after', examples('devstack why api', 'devstack why web --last 3'))
    .action(run(async () => (await import('./commands/why.js')).why))

  program
    .command('approve [hold]')
    .description('let go what waits for you: a new plan, a mass delete, a migration; alone it lists them')
    .option('--list', 'only list what waits')
    .option('--json', 'one JSON object for each that waits')
    .addHelpText('after', examples('devstack approve', 'devstack approve plan'))
    .action(run(async () => (await import('./commands/approve.js')).approve))

  program
    .command('logs [services...]')
    .description("the services' log lines")
    .option('-f, --follow', 'go on with new lines')
    .option('--since <time>', 'only lines since: 5m, 1h, an RFC 3339 time')
    .option('--tail <lines>', 'only the last lines of each service')
    .option('--grep <re>', 'only lines that match the regular expression')
    .option('--invert', 'only lines that do not match')
    .option('--level <level>', 'only lines of this level or above: debug, info, warn, error')
    .option('--timestamps', 'begin each line with its time')
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      examples('devstack logs -f api', 'devstack logs --since 5m --grep "GET /api" nginx'),
    )
    .action(run(async () => (await import('./commands/logs.js')).logs))

  for (const [verb, description] of [
    ['restart', 'stop services and start them again'],
    ['stop', 'stop services; containers and data stay'],
    ['start', 'start stopped services and what they need'],
    ['rebuild', 'build images again and recreate their containers'],
  ] as const) {
    program
      .command(`${verb} [services...]`)
      .description(description)
      .option('--json', 'print the resulting status')
      .addHelpText('after', examples(`devstack ${verb} api`))
      .action(
        run(async () => {
          const { change } = await import('./commands/change.js')
          return async (context: CommandContext, services: readonly string[], options: { json?: boolean }) =>
            change(context, verb, services, options)
        }),
      )
  }

  program
    .command('exec <service> [command...]')
    .description('run a command in a running container; its exit code passes through')
    .option('-u, --user <user>', 'run as this user')
    .option('-w, --workdir <dir>', 'run in this folder')
    .option('-e, --env <name=value>', 'set a variable; can be repeated', collect)
    .option('-T, --no-tty', 'no terminal')
    .addHelpText(
      'after',
      examples('devstack exec api -- pytest', 'devstack exec -u postgres postgres -- psql'),
    )
    .action(run(async () => (await import('./commands/exec.js')).exec))

  program
    .command('shell <service>')
    .description('a shell in a running container')
    .addHelpText('after', examples('devstack shell api'))
    .action(run(async () => (await import('./commands/exec.js')).shell))

  program
    .command('open [service]')
    .description("open a service's address in the browser")
    .option('--print', 'only print the address')
    .option('--json', 'print { service, url }')
    .addHelpText('after', examples('devstack open', 'devstack open nginx --print'))
    .action(run(async () => (await import('./commands/open.js')).open))

  program
    .command('record [file]')
    .description('a proxy in front of the stack that writes down what passes, until Ctrl-C; for compare')
    .option('--service <service>', "a service's own address instead of the stack's")
    .option('--to <url>', 'an address of this machine instead')
    .option('--port <port>', 'listen here (0: a free port)', '0')
    .option('--only <prefix>', 'only paths that begin so; can be repeated', collect)
    .option('--include-secrets', 'write passwords, tokens and cookies too, instead of placeholders')
    .option('--json', 'one JSON object a line: recording, recorded, ended')
    .addHelpText('after', examples('devstack record', 'devstack record shop.ndjson --only /api'))
    .action(run(async () => (await import('./commands/record.js')).record))

  program
    .command('compare <left> <right> [file]')
    .description('the same requests to two stacks (compose, kind or a local address): what differs')
    .option('--service <service>', "a service's own address instead of the stack's")
    .option('--repeat <times>', 'send safe requests so often, for the median of their times', '1')
    .option('--safe-only', 'send only what changes nothing: GET, HEAD, OPTIONS')
    .option('--timeout <time>', 'wait so long for one answer', '30s')
    .option('--json', 'print devstack.compare/1')
    .addHelpText(
      'after',
      examples('devstack compare compose kind', 'devstack compare compose kind shop.yaml --repeat 5'),
    )
    .action(run(async () => (await import('./commands/compare.js')).compare))

  program
    .command('attach')
    .description('the terminal UI on a stack that runs already')
    .option('--ui <ui>', 'tui, plain or json')
    .addHelpText('after', examples('devstack attach'))
    .action(run(async () => (await import('./commands/attach.js')).attach))

  program
    .command('ls')
    .description('every stack of this user')
    .option('--json', 'one JSON object a stack')
    .addHelpText('after', examples('devstack ls'))
    .action(run(async () => (await import('./commands/ls.js')).ls))

  program
    .command('config')
    .description('the resolved project and where each service is written')
    .option('--json', 'print devstack.project/1')
    .addHelpText('after', examples('devstack config', 'devstack config --json | jq .services.api.watch'))
    .action(run(async () => (await import('./commands/config.js')).config))

  program
    .command('images')
    .description('each image: pulled, built or reused, from what, how big')
    .option('--json', 'one JSON object an image')
    .option('--prune', 'remove superseded images that devstack built')
    .addHelpText('after', examples('devstack images', 'devstack images --prune'))
    .action(run(async () => (await import('./commands/images.js')).images))

  program
    .command('doctor')
    .description('check this machine and say how to mend what is wrong')
    .option('--fix', 'offer each remedy and run it')
    .option('--paste', 'a long report for a bug tracker, private data stripped')
    .option('--json', 'print devstack.doctor/1')
    .addHelpText('after', examples('devstack doctor', 'devstack doctor --fix'))
    .action(run(async () => (await import('./commands/doctor.js')).doctor))

  program
    .command('bootstrap')
    .description('install and start what a bare machine lacks; does nothing where nothing lacks')
    .option('--json', 'print the steps as JSON')
    .addHelpText('after', examples('devstack bootstrap', 'devstack bootstrap --yes'))
    .action(run(async () => (await import('./commands/bootstrap.js')).bootstrap))

  program
    .command('init')
    .description('find compose files, Flask, Vite and manifests here, and write devstack.yaml')
    .option('--print', 'print the file instead of writing it')
    .addHelpText('after', examples('devstack init', 'devstack init --print'))
    .action(run(async () => (await import('./commands/init.js')).init))

  program
    .command('completion <shell>')
    .description('print the completion script for bash, zsh or fish')
    .addHelpText('after', examples('eval "$(devstack completion bash)"'))
    .action(
      run(async () => {
        const { completion } = await import('./commands/completion.js')
        return async (context: CommandContext, shell: string) => completion(context, shell, program)
      }),
    )

  program
    .command('version')
    .description('print the version')
    .option('--json', 'print { version, node, engine }')
    .action(run(async () => (await import('./commands/version.js')).printVersion))
}

function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value]
}

function examples(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  ${line}`).join('\n')}`
}
