import * as fc from 'fast-check'

/** A valid file with most of what Compose files have. */
export const text = `name: shop
x-common: &common
  restart: unless-stopped
  environment: { A: "1", B: "\${B:-2}" }
services:
  nginx:
    <<: *common
    image: nginx:1
    ports: ["127.0.0.1:8080:80", "8443:443/tcp"]
    depends_on:
      api: { condition: service_healthy }
  api:
    <<: *common
    build: { context: ., dockerfile_inline: "FROM x", args: { V: 1 } }
    depends_on: [postgres]
    healthcheck: { test: ["CMD", "true"], interval: 5s, retries: 3 }
    volumes: ["socket:/run/app", "./api:/app:ro"]
    networks: [back]
    deploy: { resources: { limits: { memory: 256M, cpus: "0.5" } } }
  postgres:
    image: postgres:17
    volumes:
      - { type: volume, source: data, target: /data }
    networks: { back: { aliases: [db] } }
    secrets: [password]
volumes: { socket: , data: { driver: local } }
networks: { back: { internal: true } }
secrets: { password: { environment: PASSWORD } }
`

type Mutation = (lines: readonly string[], at: number, other: number) => readonly string[]

const splice =
  (count: number, ...added: readonly string[]): Mutation =>
  (lines, at) => [...lines.slice(0, at), ...added, ...lines.slice(at + count)]

const inLine =
  (change: (line: string, at: number) => string): Mutation =>
  (lines, at, other) =>
    lines.map((line, index) => (index === at ? change(line, other % (line.length + 1)) : line))

const mutations: Readonly<Record<string, Mutation>> = {
  'a line is lost': splice(1),
  'a line is twice': (lines, at) => splice(0, lines[at] ?? '')(lines, at, 0),
  'a line moves': (lines, at, other) =>
    splice(0, lines[at] ?? '')(splice(1)(lines, at, 0), other % lines.length, 0),
  'a line is indented': inLine((line) => `  ${line}`),
  'a line is outdented': inLine((line) => line.replace(/^ {2}/, '')),
  'a line begins with a tab': inLine((line) => `\t${line}`),
  'a letter is lost': inLine((line, at) => line.slice(0, at) + line.slice(at + 1)),
  'the end is cut off': (lines, at) => lines.slice(0, at),
  ...Object.fromEntries(
    [
      '[',
      ']',
      '{',
      '}',
      '"',
      "'",
      ':',
      ': ',
      '- ',
      '#',
      '&a ',
      '*a',
      '*common',
      '!!int ',
      '$',
      '${',
      '\0',
      '% ',
      '? ',
      '| ',
      '<<',
    ].map((piece) => [
      `${JSON.stringify(piece)} is put in`,
      inLine((line, at) => line.slice(0, at) + piece + line.slice(at)),
    ]),
  ),
}

interface Step {
  readonly kind: string
  readonly at: number
  readonly other: number
}

/** A few ways to break a file, one after another. */
export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({ kind: fc.constantFrom(...Object.keys(mutations)), at: fc.nat(60), other: fc.nat(60) }),
  { minLength: 1, maxLength: 4 },
)

export function mutated(steps: readonly Step[]): string {
  let lines: readonly string[] = text.split('\n')
  for (const { kind, at, other } of steps)
    lines = mutations[kind]?.(lines, at % Math.max(lines.length, 1), other) ?? lines
  return lines.join('\n')
}
