import { readFile } from 'node:fs/promises'
import { readDotEnv } from '../../core/dotenv.js'
import { lookupIn } from '../../core/interpolation.js'
import { isMissing } from './files.js'

/** The values of a `.env` file; none where it is not there. Its mistakes are told by the check of the Compose files. */
export async function readEnvFile(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Readonly<Record<string, string>> | null> {
  try {
    return readDotEnv(await readFile(file, 'utf8'), file, lookupIn(env)).values
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}
