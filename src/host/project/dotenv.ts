import { readDotEnv } from '../../core/dotenv.js'
import { lookupIn } from '../../core/interpolation.js'
import { readSmallFile } from './files.js'

/**
 * The values of a `.env` file; null where it cannot be read, or is a pipe, as
 * password managers serve it. Its mistakes are told by the check of the Compose files.
 */
export async function readEnvFile(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Readonly<Record<string, string>> | null> {
  const read = await readSmallFile(file)
  return 'text' in read ? readDotEnv(read.text, file, lookupIn(env)).values : null
}
