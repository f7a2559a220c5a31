import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The agent: what is run in a container beside another one. */
export interface AgentProgram {
  /** The main program of its container. */
  readonly stay: string
  readonly source: Buffer
  /** Where it lies in its container: another version lies beside it. */
  readonly path: string
}

/** The folder of an agent container that everything of ours is in. */
export const AGENT_FOLDER = '/run/devstack'

/** In this order they are one program. */
const PARTS = ['beside.pl', 'serve.pl', 'places.pl', 'files.pl', 'processes.pl', 'main.pl']

/** @param folder `src/engines/kind/inside/agent` of the installed package */
export async function readAgentProgram(folder: string): Promise<AgentProgram> {
  const [stay, ...parts] = await Promise.all(
    ['stay.pl', ...PARTS].map((name) => readFile(join(folder, name))),
  )
  const source = Buffer.concat(parts)
  const hash = createHash('sha256').update(source).digest('hex').slice(0, 12)
  return { stay: stay?.toString('utf8') ?? '', source, path: `${AGENT_FOLDER}/agent-${hash}.pl` }
}

/**
 * Takes the program from the beginning of stdin, puts it where it belongs and goes on as it: so an agent container of an
 * earlier session, or version, serves as well as one of our own.
 */
const INSTALL = `my ($path, $size, @rest) = @ARGV;
my $text = '';
while (length $text < $size) { sysread(STDIN, $text, $size - length $text, length $text) or exit 1 }
open my $file, '>', "$path.$$" or die "$path: $!\\n";
print $file $text;
close $file or die "$path: $!\\n";
rename "$path.$$", $path or die "$path: $!\\n";
exec 'perl', $path, @rest;`

/** The command that installs the program, whose source is to be written to its stdin first, and serves. */
export function serveCommand(program: AgentProgram, options: readonly string[]): readonly string[] {
  return ['perl', '-e', INSTALL, program.path, String(program.source.length), 'serve', ...options]
}
