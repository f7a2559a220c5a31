import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ENGINE_KINDS, type EngineKind } from '../../core/project.js'
import { summaryText } from '../../core/select.js'
import { formatBytes } from '../../core/text.js'
import { listProjects, type ListedProject } from '../../host/project/claim.js'
import { socketPath } from '../../host/project/socket.js'
import type { CommandContext } from '../commands.js'
import { joinReadable } from '../join.js'
import { print, printJson } from '../io.js'
import { formatTable } from '../table.js'

interface Row {
  readonly project: string
  readonly folder: string
  readonly engine: EngineKind
  readonly state: string
  readonly session: number | null
  readonly memoryBytes: number | null
  readonly orphaned: boolean
}

/** `devstack ls`: every stack of this user; one whose folder is gone is said to be orphaned. */
export async function ls({ io }: CommandContext, options: { readonly json?: boolean }): Promise<number> {
  const projects = await listProjects(io.env)
  const rows = (await Promise.all(projects.map(async (project) => rowsOf(project, io.env)))).flat()
  if (options.json === true) {
    for (const row of rows) printJson(io, row)
    return 0
  }
  if (rows.length === 0) {
    print(io, 'no stack yet: devstack up starts one in a folder with a compose file')
    return 0
  }
  const cells = rows.map((row) => [
    row.project,
    row.engine,
    row.orphaned ? 'orphaned: its folder is gone' : row.state,
    row.memoryBytes === null ? '' : formatBytes(row.memoryBytes),
    row.folder,
  ])
  for (const line of formatTable(['PROJECT', 'ENGINE', 'STATE', 'MEMORY', 'FOLDER'], cells)) print(io, line)
  return 0
}

/** One for each engine that the project was ever run on. */
async function rowsOf(
  project: ListedProject,
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly Row[]> {
  const ran = await Promise.all(
    ENGINE_KINDS.map(async (engine) => {
      const folder = await stat(join(project.stateFolder, engine)).catch(() => null)
      return folder === null ? [] : [engine]
    }),
  )
  const engines = ran.flat()
  return await Promise.all(
    (engines.length === 0 ? (['compose'] as const) : engines).map(async (engine) =>
      rowOf(project, engine, env),
    ),
  )
}

async function rowOf(
  project: ListedProject,
  engine: EngineKind,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Row> {
  const { name, folder, orphaned, stateFolder } = project
  const about = { project: name, folder, engine, orphaned } as const
  const client = await joinReadable({ name, socketPath: await socketPath(join(stateFolder, engine), env) })
  if (client === null) return { ...about, state: 'no session', session: null, memoryBytes: null }
  try {
    const usage = await client.usage()
    const memoryBytes = usage.reduce((sum, one) => sum + (one.memoryBytes ?? 0), 0)
    return { ...about, state: summaryText(client.getState()), session: client.hello.pid, memoryBytes }
  } finally {
    client.close()
  }
}
