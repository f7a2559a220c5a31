import { describe, expect, it } from 'vitest'
import { compose, fallbackOf, patched, readObjects, readText, readYamlFile } from './manifests.js'

interface ClusterConfig {
  readonly networking: { readonly apiServerAddress: string }
  readonly nodes: readonly {
    readonly role: string
    readonly extraPortMappings?: readonly {
      readonly containerPort: number
      readonly hostPort: number
      readonly listenAddress: string
    }[]
  }[]
}

describe('the clusters', () => {
  const one = readYamlFile('kind/cluster.yaml') as ClusterConfig
  const three = readYamlFile('kind/cluster.multi-node.yaml') as ClusterConfig
  const mappings = ({ nodes }: ClusterConfig): readonly { containerPort: number; hostPort: number }[] =>
    nodes.flatMap(({ extraPortMappings = [] }) => extraPortMappings)

  it('are reached from this machine alone', () => {
    for (const cluster of [one, three]) {
      expect(cluster.networking.apiServerAddress).toBe('127.0.0.1')
      for (const mapping of mappings(cluster)) expect(mapping).toMatchObject({ listenAddress: '127.0.0.1' })
    }
  })

  it('lead to the port of the overlay for plain kubectl, and can be up side by side with Compose', () => {
    const [nginx] = readObjects('kind/overlays/nodeport').filter(({ kind }) => kind === 'Service')
    const nodePort = nginx?.spec?.ports?.[0]?.nodePort
    expect(mappings(one)).toMatchObject([{ containerPort: nodePort, hostPort: 30080 }])
    expect(mappings(three)).toMatchObject([{ containerPort: nodePort, hostPort: 30081 }])
    const taken = Object.values(compose.services).flatMap(({ ports = [] }) =>
      ports.map((port) => fallbackOf(port).split(':')[1]),
    )
    expect(taken).not.toContain('30080')
  })

  it('come with one node, and with two workers beside the control plane', () => {
    expect(one.nodes.map(({ role }) => role)).toEqual(['control-plane'])
    expect(three.nodes.map(({ role }) => role)).toEqual(['control-plane', 'worker', 'worker'])
  })
})

describe("nginx's configurations", () => {
  const shared = '  include /etc/nginx/shop/vite.conf;\n}\n'

  it('differ for Compose and for a pod in nothing but how web is found', () => {
    for (const file of ['development.conf', 'development.pod.conf']) {
      const text = readText(`compose/nginx/${file}`)
      expect(text).toMatch(/map '' \$web \{/)
      expect(text.endsWith(shared)).toBe(true)
      expect(text).not.toMatch(/\b(server|location|proxy_pass)\b.*\{/)
    }
    expect(patched('nginx')?.command?.at(-1)).toBe('/etc/nginx/shop/development.pod.conf')
  })

  it('name no address of the cluster and no namespace in a pod', () => {
    expect(readText('compose/nginx/development.pod.conf')).not.toMatch(/^ *resolver |\.svc\b/m)
  })
})
