import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { docker, freePort } from '../../e2e/support.ts'
import { row } from '../live/figures.ts'
import { report } from '../support.ts'
import { withBundled } from './bundled.ts'
import type * as Product from './product.ts'
import { kindShop, type KindShop } from './shop.ts'

const run = promisify(execFile)
const SAMPLES = Number(process.env['DEVSTACK_SAMPLES'] ?? 5)

/** What becomes another in an image: a file of the source, or all but its base. */
const CHANGES = {
  'a file of source': ['COPY mark /mark'],
  'a layer of some 60 MB': ['COPY mark /mark', 'RUN cp -r /usr/lib /mark-lib'],
} as const

/** Ways into the node. Each is given an image that the node lacks, as this machine's engine has it. */
type Ways = Readonly<Record<string, (image: string) => Promise<unknown>>>

/**
 * Bringing an image into the node that differs from what is there in its upper layers: sending what is missing, as devstack does
 * it, `kind load`, and a registry on the cluster's network. Sides take turns, each with an image that nobody had.
 */
export async function images(): Promise<void> {
  const shop = await kindShop()
  const node = `${shop.cluster}-control-plane`
  const figures: Record<string, ReturnType<typeof row>[string] | number> = {}
  await using registry = await openRegistry(shop)
  await withBundled('product.ts', async (bundled) => {
    const product = bundled as typeof Product
    let sent = 0
    const ways: Ways = {
      'missing layers': async (image) => {
        const id = (await docker('inspect', '--format', '{{.Id}}', image)).trim()
        sent = await product.send(node, [{ id, node: image }])
      },
      'kind load': async (image) => await kindLoad(shop, image),
      'registry on the network': async (image) => {
        const name = image.replace(/^.*\//, '')
        await docker('tag', image, `${registry.pushed}/${name}`)
        await docker('push', '--quiet', `${registry.pushed}/${name}`)
        const pull = ['ctr', '--namespace', 'k8s.io', 'images', 'pull', '--plain-http']
        await docker('exec', node, ...pull, `${registry.pulled}/${name}`)
        await docker('rmi', `${registry.pushed}/${name}`)
      },
    }
    for (const [change, lines] of Object.entries(CHANGES)) {
      const times = await measure(shop, node, lines, ways)
      for (const [way, samples] of Object.entries(times))
        Object.assign(figures, row(`${change}: ${way}, ms`, samples))
      figures[`${change}: missing layers, MB sent`] = sent / 1e6
    }
  })
  await report('kind-images', figures)
}

async function measure(
  shop: KindShop,
  node: string,
  lines: readonly string[],
  ways: Ways,
): Promise<Readonly<Record<string, readonly number[]>>> {
  const times: Record<string, number[]> = {}
  // The first of each warms it up: in the registry it brings the base.
  for (let sample = -1; sample < SAMPLES; sample += 1)
    for (const [way, bring] of Object.entries(ways)) {
      const image = `${shop.place.name}-sent:${way.replaceAll(' ', '-')}-${String(Date.now())}`
      await buildImage(`${shop.place.name}-api`, image, lines)
      const begin = performance.now()
      await bring(image)
      const took = performance.now() - begin
      if (!(await nodeHas(node, image))) throw new Error(`${way} did not bring ${image}`)
      if (sample >= 0) (times[way] ??= []).push(took)
      await docker('exec', node, 'sh', '-c', removal(image))
      await docker('rmi', image)
    }
  return times
}

async function buildImage(base: string, image: string, lines: readonly string[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-bench-image-'))
  try {
    await writeFile(join(folder, 'mark'), image)
    await writeFile(join(folder, 'Dockerfile'), [`FROM ${base}`, 'USER root', ...lines, ''].join('\n'))
    await docker('build', '--quiet', '--tag', image, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function nodeHas(node: string, image: string): Promise<boolean> {
  const listed = await docker('exec', node, 'ctr', '--namespace', 'k8s.io', 'images', 'list', '--quiet')
  return listed.includes(image.replace(/^.*\//, ''))
}

/** Whatever name of the image the node has. */
function removal(image: string): string {
  const tag = image.replace(/^.*:/, '')
  return `ctr -n k8s.io images rm $(ctr -n k8s.io images list -q | grep -F ${tag})`
}

async function kindLoad(shop: KindShop, image: string): Promise<void> {
  await run('kind', ['load', 'docker-image', '--name', shop.cluster, image])
}

interface Registry extends AsyncDisposable {
  /** As this machine names it. */
  readonly pushed: string
  /** As a node does. */
  readonly pulled: string
}

/** Debian's registry in a container, on the network of the nodes. */
async function openRegistry(shop: KindShop): Promise<Registry> {
  const name = `${shop.cluster}-registry`
  const image = `${name}:bench`
  const folder = await mkdtemp(join(tmpdir(), 'devstack-bench-registry-'))
  const port = String(await freePort())
  try {
    const config = {
      version: 0.1,
      storage: { filesystem: { rootdirectory: '/var/lib/registry' }, delete: { enabled: true } },
      http: { addr: ':5000' },
    }
    await writeFile(join(folder, 'config.json'), JSON.stringify(config))
    const dockerfile = `FROM ${shop.place.name}-api
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends docker-registry
COPY config.json /config.yml
CMD ["docker-registry", "serve", "/config.yml"]
`
    await writeFile(join(folder, 'Dockerfile'), dockerfile)
    // Proxies and mirrors of the machine are the engine's own, or the base's.
    await docker('build', '--quiet', '--network', 'host', '--tag', image, folder)
    const publish = ['--publish', `127.0.0.1:${port}:5000`]
    await docker('run', '--detach', '--name', name, '--network', 'kind', ...publish, image)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return {
    pushed: `localhost:${port}`,
    pulled: `${name}:5000`,
    async [Symbol.asyncDispose]() {
      await docker('rm', '--force', '--volumes', name)
      await docker('rmi', image)
    },
  }
}
