import { readFile } from 'node:fs/promises'
import type { DevstackConfig } from '../../core/config.js'
import { DevstackError } from '../../core/error.js'
import type { YamlSource } from '../../core/yaml.js'

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
  const [text, { readYaml }, { readConfig }] = await Promise.all([
    readFile(file, 'utf8').catch((error: unknown) => {
      const cause = error instanceof Error ? error.message : String(error)
      throw new DevstackError('CONFIG_INVALID', `${file} cannot be read`, { cause })
    }),
    import('../../core/yaml.js'),
    import('../../core/config.js'),
  ])
  const source = readYaml(text, file)
  const { config, problems } = readConfig(source)
  if (config !== null) return { config, source }
  const count = problems.length === 1 ? 'a problem' : `${String(problems.length)} problems`
  throw new DevstackError('CONFIG_INVALID', `${file} has ${count}`, { problems })
}
