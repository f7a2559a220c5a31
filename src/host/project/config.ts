import type { DevstackConfig } from '../../core/config.js'
import { DevstackError } from '../../core/error.js'
import type { YamlSource } from '../../core/yaml.js'
import { readSmallFile } from './files.js'

export interface LoadedConfig {
  readonly config: DevstackConfig
  /** Where each of its keys is written. */
  readonly source: YamlSource
}

/**
 * Reads a devstack.yaml.
 * @throws DevstackError CONFIG_INVALID with every problem at its place
 */
export async function loadConfig(file: string): Promise<LoadedConfig> {
  // zod and yaml are loaded only where there is such a file.
  const [read, { readYaml }, { readConfig }] = await Promise.all([
    readSmallFile(file),
    import('../../core/yaml.js'),
    import('../../core/config.js'),
  ])
  if ('refused' in read) {
    throw new DevstackError('CONFIG_INVALID', `${file} cannot be read`, { cause: read.refused })
  }
  const source = readYaml(read.text, file)
  const { config, problems } = readConfig(source)
  if (config !== null) return { config, source }
  const count = problems.length === 1 ? 'a problem' : `${String(problems.length)} problems`
  throw new DevstackError('CONFIG_INVALID', `${file} has ${count}`, { problems })
}
