import type { Problem } from '../../../../src/core/error.js'
import type { SourceRequest } from '../../../../src/engines/compose/source/types.js'
import type { Folder } from '../../../host/project/folder.js'

const MAIN = ['compose.yaml', 'compose.override.yaml']

/** The request for the usual files of a folder. */
export function requestFor(
  folder: Folder,
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): SourceRequest {
  return {
    files: MAIN.filter((name) => name in files).map((name) => folder.at(name)),
    env,
    envFiles: '.env' in files ? [folder.at('.env')] : [],
    profiles: [],
  }
}

/** A problem on one line, the folder's path short. */
export function tell({ at, message }: Problem, folder: Folder): string {
  const place = at === null ? '?' : `${at.file}:${String(at.line)}:${String(at.column)}`
  return `${place.replace(`${folder.path}/`, '')} ${message.replaceAll(folder.path, '~')}`
}
