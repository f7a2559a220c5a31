import { open, realpath } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { DevstackError } from '../../core/error.js'
import { CONFIG_NAMES, folderFiles } from '../project/files.js'
import { normaliseName } from '../project/name.js'
import { findParts, isTelling } from './found.js'
import type { DetectPreset, FoundParts } from './found.js'
import { scanFolders } from './scan.js'
import { configText } from './text.js'

export interface InitRequest {
  /** Absolute path of the project's folder. */
  readonly folder: string
  /** What a source folder is taken for, and the files it wants to read: the presets'. */
  readonly detect: DetectPreset
  readonly telling: readonly string[]
  /** Where editors find the JSON Schema; default: in the installed package. */
  readonly schema?: string
}

export interface InitPlan {
  /** Absolute path of the devstack.yaml to write. */
  readonly path: string
  /** Its text, commented. */
  readonly text: string
  readonly found: FoundParts
  /** A devstack.yaml that is there already, or null. */
  readonly existing: string | null
}

/** Looks at a project and drafts its devstack.yaml. Writes nothing. */
export async function initProject(request: InitRequest): Promise<InitPlan> {
  const folder = await realpath(request.folder)
  const telling = new Set(request.telling)
  const folders = await scanFolders(folder, (file) => telling.has(file) || isTelling(file))
  const found = findParts(folders, request.detect)
  const schema = request.schema ?? './node_modules/devstack/dist/devstack.schema.json'
  const folderName = normaliseName(basename(folder))
  const { config } = await folderFiles(folder)
  return {
    path: join(folder, CONFIG_NAMES[0]),
    text: configText({ parts: found, folderName, schema }),
    found,
    existing: config,
  }
}

/**
 * Writes the draft; never over a file that is there.
 * @throws DevstackError USAGE where there is a devstack.yaml
 */
export async function writeInit(plan: InitPlan): Promise<void> {
  if (plan.existing !== null) throw alreadyThere(plan.existing)
  const handle = await open(plan.path, 'wx', 0o644).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw alreadyThere(plan.path)
    throw error
  })
  try {
    await handle.writeFile(plan.text)
  } finally {
    await handle.close()
  }
}

function alreadyThere(file: string): DevstackError {
  return new DevstackError('USAGE', `${file} is already there`, {
    cause: 'init never writes over a file',
    hint: 'look at what it would write with: devstack init --print',
  })
}
