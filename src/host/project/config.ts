import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import type { DevstackConfig } from '../../core/config.js'
import { DevstackError } from '../../core/error.js'
import type { YamlSource } from '../../core/yaml.js'
import { ensurePrivateFolder, readPrivateFile, writePrivateFile } from './state.js'
import { readSmallFile } from './files.js'

export interface LoadedConfig {
  readonly config: DevstackConfig
  /** Where each of its keys is written; null where it came from the cache. */
  readonly source: YamlSource | null
}

/** Configurations that were read before, by the text of their file: reading one again costs 40 ms of processor time. */
export interface ConfigCache {
  /** Absolute path of a private folder, which is made. */
  readonly folder: string
  /** Names what reads them: another version may read the same text otherwise. */
  readonly reader: string
}

/**
 * Reads a devstack.yaml.
 * @throws DevstackError CONFIG_INVALID with every problem at its place
 */
export async function loadConfig(file: string, cache: ConfigCache | null = null): Promise<LoadedConfig> {
  const read = await readSmallFile(file)
  if ('refused' in read) {
    throw new DevstackError('CONFIG_INVALID', `${file} cannot be read`, { cause: read.refused })
  }
  const entry = cache === null ? null : cacheEntry(cache, read.text)
  const known = entry === null ? null : await readPrivateFile(entry).catch(() => null)
  if (known !== null) return { config: JSON.parse(known) as DevstackConfig, source: null }
  // zod and yaml are loaded only where there is such a file.
  const [{ readYaml }, { readConfig }] = await Promise.all([
    import('../../core/yaml.js'),
    import('../../core/config.js'),
  ])
  const source = readYaml(read.text, file)
  const { config, problems } = readConfig(source)
  if (config !== null) {
    if (entry !== null) await keep(entry, config)
    return { config, source }
  }
  const count = problems.length === 1 ? 'a problem' : `${String(problems.length)} problems`
  throw new DevstackError('CONFIG_INVALID', `${file} has ${count}`, { problems })
}

function cacheEntry({ folder, reader }: ConfigCache, text: string): string {
  return join(folder, `${createHash('sha256').update(`${reader}\0${text}`).digest('hex')}.json`)
}

/** A cache that cannot be written is no reason to fail. */
async function keep(entry: string, config: DevstackConfig): Promise<void> {
  try {
    await ensurePrivateFolder(dirname(dirname(entry)))
    await ensurePrivateFolder(dirname(entry))
    await writePrivateFile(entry, JSON.stringify(config))
  } catch (error) {
    if (!(error instanceof DevstackError) && !(error instanceof Error && 'code' in error)) throw error
  }
}
