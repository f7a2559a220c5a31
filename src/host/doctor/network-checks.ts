import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { rootCertificates } from 'node:tls'
import type { Environment } from '../bootstrap/command.js'
import { run } from '../bootstrap/command.js'
import type { CheckDefinition, DoctorContext, Finding } from './check.js'
import { fail, pass, remedy, warning } from './check.js'

/** Where programs are told of certificates. */
const caVariables = [
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'REQUESTS_CA_BUNDLE',
  'PIP_CERT',
  'CURL_CA_BUNDLE',
  'npm_config_cafile',
]

export const networkChecks: readonly CheckDefinition[] = [
  {
    category: 'network',
    name: 'localhost',
    look: async () => {
      const found = await lookup('localhost', { all: true }).catch(() => [])
      const addresses = found.map(({ address }) => address)
      if (addresses.some((address) => address === '127.0.0.1' || address === '::1'))
        return pass(`localhost is ${addresses.join(', ')}`)
      return fail(
        'localhost does not resolve to this machine',
        remedy('add to /etc/hosts: 127.0.0.1 localhost'),
      )
    },
  },
  { category: 'network', name: 'certificates', look: ({ env }) => judgeCertificates(env) },
  {
    category: 'network',
    name: 'proxy',
    look: async ({ env, info }) => judgeProxy(env, (await info()) ?? {}),
  },
  {
    category: 'network',
    name: 'names',
    look: async (context) => {
      const names = await outsideNames(context)
      const silent = await asyncFilter(names, async (name) => !(await resolves(name)))
      if (names.length === 0) return null
      if (silent.length === 0) return pass(`${names.join(', ')} resolve`)
      return warning(
        `${silent.join(', ')} ${silent.length === 1 ? 'does' : 'do'} not resolve`,
        remedy('see /etc/resolv.conf; without an image registry, images are made here'),
      )
    },
  },
]

/** Machines outside that a stack is made from: the engine's own registry and the package mirrors that apt is set to. */
export async function outsideNames({ env, signal, info }: DoctorContext): Promise<readonly string[]> {
  const argv = [
    'apt-get',
    'indextargets',
    '--no-release-info',
    '--format',
    '$(REPO_URI)',
    'Created-By: Packages',
  ]
  const { stdout } = await run(argv, { env, signal, timeoutMs: 10_000 })
  const addresses = [(await info())?.IndexServerAddress ?? '', ...stdout.split('\n')]
  const names = addresses.flatMap((address) => (URL.canParse(address) ? [new URL(address).hostname] : []))
  return [...new Set(names)].filter((name) => name !== '').slice(0, 3)
}

/** True where this machine can look the name up. */
export async function resolves(name: string): Promise<boolean> {
  return lookup(name).then(
    () => true,
    () => false,
  )
}

async function asyncFilter<T>(
  values: readonly T[],
  keep: (value: T) => Promise<boolean>,
): Promise<readonly T[]> {
  const kept = await Promise.all(values.map(keep))
  return values.filter((_, index) => kept[index] === true)
}

/** Every file that a certificate variable names has to be there and hold certificates. */
export async function judgeCertificates(env: Environment): Promise<Finding> {
  const named = caVariables.flatMap((variable) => {
    const file = env[variable]
    return file === undefined || file === '' ? [] : [{ variable, file }]
  })
  if (named.length === 0)
    return pass(`the system's own certificates (${String(rootCertificates.length)} in Node)`)
  const wrong: string[] = []
  for (const { variable, file } of named) {
    const text = await readFile(file, 'utf8').catch(
      (error: unknown) => (error as NodeJS.ErrnoException).code ?? 'unreadable',
    )
    if (!text.includes('-----BEGIN CERTIFICATE-----'))
      wrong.push(`${variable}=${file}: ${text.length < 20 ? text : 'no certificate in it'}`)
  }
  if (wrong.length > 0)
    return {
      ...fail(
        'a certificate file that the environment names does not serve',
        remedy('mend or unset the variable'),
      ),
      details: wrong,
    }
  const files = [...new Set(named.map(({ file }) => file))]
  return pass(
    `${files.join(', ')} is handed to image builds too`,
    named.map(({ variable, file }) => `${variable}=${file}`),
  )
}

/** A proxy must not be asked for this machine's own addresses, and the engine needs to know it as well. */
export function judgeProxy(
  env: Environment,
  engine: { readonly HttpProxy?: string; readonly HttpsProxy?: string },
): Finding {
  const value = (name: string) => env[name] ?? env[name.toLowerCase()] ?? ''
  const proxy = value('HTTPS_PROXY') || value('HTTP_PROXY')
  if (proxy === '') return pass('no proxy')
  const exempt = value('NO_PROXY')
    .split(',')
    .map((entry) => entry.trim())
  const lacks = ['localhost', '127.0.0.1'].filter((name) => !exempt.includes(name) && !exempt.includes('*'))
  if (lacks.length > 0)
    return warning(
      `NO_PROXY lacks ${lacks.join(' and ')}: requests to your own stack go to the proxy`,
      remedy(`export NO_PROXY=${[...exempt.filter((entry) => entry !== ''), ...lacks].join(',')}`),
    )
  if ((engine.HttpsProxy ?? '') === '' && (engine.HttpProxy ?? '') === '') {
    return warning('the shell has a proxy, the Docker engine has none: it may not reach the image registry', {
      text: 'give the engine the proxy in /etc/docker/daemon.json ("proxies") and restart it',
      commands: [],
    })
  }
  return pass('the shell and the engine go through a proxy')
}
