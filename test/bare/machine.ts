import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { bareImage, nodeTwenty } from './image.js'

const repository = fileURLToPath(new URL('../../', import.meta.url))

/** Settings of this machine that any machine behind the same network has: certificates, proxies, registries. */
const certificateVariables = [
  'NODE_EXTRA_CA_CERTS',
  'PIP_CERT',
  'SSL_CERT_FILE',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
]
const plainVariables = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'PIP_INDEX_URL',
]

export interface Ran {
  readonly exitCode: number | undefined
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
}

/** A privileged container made from nothing but Debian, with a clone of this repository, and no engine yet. */
export class BareMachine implements AsyncDisposable {
  private constructor(
    readonly name: string,
    readonly folder: string,
  ) {}

  static async start(options: { readonly node?: 20 } = {}): Promise<BareMachine> {
    const image = await bareImage()
    const name = `devstack-bare-${randomUUID().slice(0, 8)}`
    const machine = new BareMachine(name, await mkdtemp(join(tmpdir(), `${name}-`)))
    try {
      const env = settings().flatMap((entry) => ['--env', entry])
      const shape = [
        '--privileged',
        '--cgroupns',
        'host',
        '--init',
        '--hostname',
        'bare',
        '--volume',
        `${name}:/var/lib/docker`,
      ]
      await execa('docker', [
        'run',
        '--detach',
        '--name',
        name,
        '--pull',
        'never',
        ...shape,
        ...env,
        image,
        'sleep',
        'infinity',
      ])
      await machine.#put(options.node)
    } catch (error) {
      await machine[Symbol.asyncDispose]()
      throw error
    }
    return machine
  }

  /** Takes container, volume and folder away, whatever state they are in. */
  async [Symbol.asyncDispose](): Promise<void> {
    await execa('docker', ['rm', '--force', '--volumes', this.name], { reject: false })
    await execa('docker', ['volume', 'rm', '--force', this.name], { reject: false })
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Runs a command in the clone, without a terminal and without input. What it prints also goes to this test's output. */
  async run(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
    const started = performance.now()
    const variables = Object.entries(env).flatMap(([key, value]) => ['--env', `${key}=${value}`])
    const words = ['exec', '--workdir', '/home/devstack', ...variables, this.name, ...argv]
    const child = execa('docker', words, { reject: false, stdin: 'ignore' })
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => process.stderr.write(text))
    const { exitCode, stdout, stderr } = await child
    return { exitCode, stdout, stderr, seconds: (performance.now() - started) / 1000 }
  }

  /** Puts in what a person would have there: the clone, and this network's certificates. */
  async #put(node: 20 | undefined): Promise<void> {
    const root = join(this.folder, 'root')
    await execa('git', ['clone', '--quiet', '--no-hardlinks', repository, join(root, 'home/devstack')])
    for (const file of certificateFiles()) {
      await mkdir(dirname(join(root, file)), { recursive: true })
      await cp(file, join(root, file), { recursive: true, dereference: true })
    }
    if (node === 20) await nodeTwenty(join(root, 'usr/local'))
    // As tar, so that everything belongs to root inside.
    await execa('tar', ['-c', '-C', root, '--owner=0', '--group=0', '.'], { buffer: false }).pipe('docker', [
      'cp',
      '-',
      `${this.name}:/`,
    ])
  }
}

function settings(): readonly string[] {
  const named = [...certificateVariables, ...plainVariables].flatMap((name) => {
    const value = process.env[name]
    return value === undefined || value === '' ? [] : [`${name}=${value}`]
  })
  return named
}

/** The bundles that the variables name, the certificates they were made from, and Maven's settings. */
function certificateFiles(): readonly string[] {
  const named = certificateVariables.flatMap((name) => process.env[name] ?? [])
  const others = ['/usr/local/share/ca-certificates', join(homedir(), '.m2/settings.xml')]
  return [...new Set([...named, ...others])].filter((path) => path.startsWith('/') && existsSync(path))
}
