import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

type Env = Readonly<Record<string, string | undefined>>

/** Where Go fetches modules from, and whom it asks about their sums. */
const NAMES: readonly string[] = ['GOPROXY', 'GONOPROXY', 'GOSUMDB', 'GONOSUMDB', 'GOPRIVATE', 'GOINSECURE']
const PROXIES: readonly string[] = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']

/**
 * The settings of this user's Go, as `NAME=value` lines: of the environment, or else of Go's own file, which `go env -w`
 * writes. Go itself need not be installed.
 */
export async function readGoSettings(env: Env): Promise<string> {
  const config = env['XDG_CONFIG_HOME'] ?? join(env['HOME'] ?? homedir(), '.config')
  const file = env['GOENV'] ?? join(config, 'go', 'env')
  const text = file === 'off' ? '' : await readFile(file, 'utf8').catch(() => '')
  const settings = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, name = '', value = ''] = /^([A-Z0-9]+)=(.*)$/.exec(line.trim()) ?? []
    if (NAMES.includes(name) && value !== '') settings.set(name, value)
  }
  for (const name of NAMES) {
    const value = env[name]
    if (value !== undefined && value !== '') settings.set(name, value)
  }
  return [...settings]
    .filter(([, value]) => !/[\r\n]/.test(value))
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** Proxies for a build, as its arguments. One on this machine's own loopback address is out of a container's reach. */
export function proxyArguments(env: Env): readonly string[] {
  return PROXIES.flatMap((name) => {
    const value = env[name] ?? env[name.toLowerCase()] ?? ''
    const unreachable =
      name !== 'NO_PROXY' && /^(?:\w+:\/\/)?(?:[^@/]*@)?(?:127\.|localhost|\[?::1)/.test(value)
    return value === '' || unreachable ? [] : ['--build-arg', `${name}=${value}`]
  })
}
