/** A Compose project that is broken in one way, or in several at once. */
export interface Broken {
  readonly name: string
  readonly files: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  /** What is told, in order: `file:line:column message`; a part of the message is enough. */
  readonly told: readonly string[]
  /** False: Compose reads the files, and only `up` fails. */
  readonly refused?: boolean
}

const one = (name: string, text: string, told: readonly string[], refused = true): Broken => ({
  name,
  files: { 'compose.yaml': text },
  told,
  refused,
})

export const corpus: readonly Broken[] = [
  // syntax
  one('nothing', '', ['1:1 the file is empty']),
  one('a list', '- a\n', ['1:1 a Compose file must be a map']),
  one('a mapping in a mapping', 'services:\n  a: image: x\n', ['2:6 nested mappings']),
  one('an open bracket', 'services:\n  a:\n    image: x\n    ports: ["80:80"\n', ['5:1 flow sequence']),
  one('a tab', 'services:\n\ta:\n\t\timage: x\n', ['2:1 tabs are not allowed', '3:1 tabs are not allowed']),
  one('an open quote', 'services:\n  a:\n    image: "x\n', ['4:1 missing closing "quote']),
  one('a key twice', 'services:\n  a:\n    image: x\n    image: y\n', [
    '4:5 the key "image" is written twice',
  ]),
  one('an alias without an anchor', 'services:\n  a: *b\n', ['2:6 the alias *b has no anchor']),
  one('a merge of a text', 'services:\n  a:\n    <<: x\n    image: y\n', ['3:5 << needs a map']),
  one('a number as a key', 'services:\n  1: { image: x }\n', ['2:3 the key 1 is not text']),
  one('several syntax errors', 'services:\n  a:\n    image: x: y\n  b:\n    command: [a\n  c: {image: x\n', [
    '3:12 nested mappings',
    '6:3 flow sequence',
    '7:1 flow map',
  ]),
  // schema
  one(
    'three mistakes in three services',
    'services:\n  a:\n    imag: x\n  b:\n    image: x\n    ports: 80\n  c:\n    image: [x]\n',
    [
      '2:3 a has neither',
      '3:5 unknown key "imag" in services.a',
      '6:12 services.b.ports must be a list',
      '8:12 services.c.image must be text',
    ],
  ),
  one('an unknown key at the top', 'service:\n  a: { image: x }\n', ['1:1 unknown key "service"']),
  one('a service without a body', 'services:\n  a:\n', ['2:5 services.a must be a map, is empty']),
  one('a name with a blank', 'services:\n  a b: { image: x }\n', [
    '2:3 "a b" in services is not a usable name',
  ]),
  one('neither image nor build', 'services:\n  a: {}\n', ['2:3 a has neither an image nor a build']),
  one('an unknown key in build', 'services:\n  a: { build: { contxt: . } }\n', [
    '2:15 a: Dockerfile',
    '2:17 unknown key "contxt" in services.a.build',
  ]),
  one('an unknown key of a port', 'services:\n  a: { image: x, ports: [{ target: 80, publish: 1 }] }\n', [
    '2:40 unknown key "publish" in services.a.ports[0]',
  ]),
  one('a list in environment', 'services:\n  a: { image: x, environment: { A: [1] } }\n', [
    '2:36 services.a.environment.A must be text or a number or true or false or empty, is a list',
  ]),
  one('a map as a command', 'services:\n  a: { image: x, command: { A: 1 } }\n', [
    '2:27 services.a.command must be empty or text or a list, is a map',
  ]),
  one(
    'an unknown condition',
    'services:\n  a: { image: x, depends_on: { b: { condition: healthy } } }\n  b: { image: x }\n',
    ['2:48 services.a.depends_on.b.condition: unknown value "healthy"'],
  ),
  one(
    'an unknown watch action',
    'services:\n  a: { image: x, develop: { watch: [{ path: a, action: synk }] } }\n',
    ['2:56 services.a.develop.watch[0].action: unknown value "synk"'],
  ),
  one(
    'a watch rule without a path',
    'services:\n  a: { image: x, develop: { watch: [{ action: sync }] } }\n',
    ['2:37 services.a.develop.watch[0]: "path" is missing'],
  ),
  one('a mistake below a merge key', 'x-a: &a\n  image: x\n  prts: []\nservices:\n  b:\n    <<: *a\n', [
    '3:3 unknown key "prts" in services.b',
  ]),
  // references
  one(
    'an unknown dependency',
    'services:\n  api: { image: x, depends_on: [postgre] }\n  postgres: { image: x }\n',
    ['2:33 api: depends_on names the unknown service "postgre"'],
  ),
  one(
    'a dependency in an inactive profile',
    'services:\n  a: { image: x, depends_on: [b] }\n  b: { image: x, profiles: [debug] }\n',
    ['2:31 a: depends_on names "b", which is only in the profile debug'],
  ),
  one('a network of an unknown service', 'services:\n  a: { image: x, network_mode: "service:b" }\n', [
    '2:32 a: network_mode names the unknown service "b"',
  ]),
  one('an unknown network', 'services:\n  a: { image: x, networks: [backend] }\nnetworks: { backnd: {} }\n', [
    '2:29 a: the network "backend" is not defined',
  ]),
  one(
    'an unknown network of a map',
    'services:\n  a:\n    image: x\n    networks:\n      back: { aliases: [b] }\n',
    ['5:7 a: the network "back" is not defined'],
  ),
  one('an unknown volume', 'services:\n  a: { image: x, volumes: ["data:/data", "./data:/d"] }\n', [
    '2:28 a: the volume "data" is not defined',
  ]),
  one(
    'an unknown volume, long',
    'services:\n  a: { image: x, volumes: [{ type: volume, source: d, target: /d }] }\n',
    ['2:28 a: the volume "d" is not defined'],
  ),
  one(
    'an unknown secret and config',
    'services:\n  a: { image: x, secrets: [s], configs: [{ source: c }] }\n',
    ['2:28 a: the secret "s" is not defined', '2:42 a: the config "c" is not defined'],
  ),
  one(
    'a circle',
    'services:\n  a: { image: x, depends_on: [b] }\n  b: { image: x, depends_on: [c] }\n  c: { image: x, depends_on: [a] }\n',
    ['4:31 services depend on each other in a circle: a -> b -> c -> a'],
  ),
  one(
    'a service that waits for itself',
    'services:\n  a: { image: x, depends_on: { a: { condition: service_started } } }\n',
    ['2:32 services depend on each other in a circle: a -> a'],
  ),
  one('a secret without a source', 'services:\n  a: { image: x }\nsecrets:\n  s: {}\n', [
    '4:3 secrets.s needs one of file, environment',
  ]),
  one(
    'an external volume with a driver',
    'services:\n  a: { image: x }\nvolumes:\n  v: { external: true, driver: local }\n',
    ['4:24 volumes.v: an external one cannot have "driver"'],
  ),
  one(
    'a network of the host and another',
    'services:\n  a: { image: x, network_mode: host, networks: [n] }\nnetworks: { n: }\n',
    ['2:32 a has both network_mode and networks'],
  ),
  one('two numbers of replicas', 'services:\n  a: { image: x, scale: 3, deploy: { replicas: 2 } }\n', [
    '2:25 a has another scale than deploy.replicas',
  ]),
  one(
    'two limits of memory',
    'services:\n  a: { image: x, mem_limit: 1g, deploy: { resources: { limits: { memory: 512m } } } }\n',
    ['2:29 a has another mem_limit than deploy.resources.limits.memory'],
  ),
  one('a fixed name for two', 'services:\n  a: { image: x, scale: 2, container_name: qq }\n', [
    '2:44 a has a fixed container_name',
  ]),
  one('a dependency twice', 'services:\n  a: { image: x, depends_on: [b, b] }\n  b: { image: x }\n', [
    '2:34 services.a.depends_on: "b" is written twice',
  ]),
  // variables
  one('a required variable', 'services:\n  a: { image: "x:${TAG:?say which}" }\n', [
    '2:18 the variable TAG is required: say which',
  ]),
  one('an open variable', 'services:\n  a: { image: "x${" }\n', [
    '2:17 services.a.image: "${" is not a variable',
  ]),
  one('a variable that is not one', 'services:\n  a:\n    image: x\n    command: ["echo ${1} ${A B}"]\n', [
    '4:21 services.a.command[0]: "${1}" is not a variable',
    '4:26 services.a.command[0]: "${A B}" is not a variable',
  ]),
  // texts of a form
  one('not a port', 'services:\n  a: { image: x, ports: ["abc"] }\n', [
    '2:26 services.a.ports: "abc" is not a port',
  ]),
  one('a port above all', 'services:\n  a: { image: x, ports: ["99999:80"] }\n', [
    '2:26 services.a.ports: "99999:80" has a port above 65535',
  ]),
  one('ranges that differ', 'services:\n  a: { image: x, ports: ["8000-8002:80-81"] }\n', [
    '2:26 services.a.ports: "8000-8002:80-81" has two ranges',
  ]),
  one('an unknown protocol', 'services:\n  a: { image: x, ports: ["80:80/tcq"] }\n', [
    '2:26 services.a.ports: "80:80/tcq" has the unknown protocol',
  ]),
  one(
    'durations and sizes',
    'services:\n  a:\n    image: x\n    healthcheck: { test: x, interval: 5x }\n    mem_limit: 12zb\n    stop_grace_period: soon\n',
    [
      '4:39 services.a.healthcheck.interval: "5x" is not a duration',
      '5:16 services.a.mem_limit: "12zb" is not a size',
      '6:24 services.a.stop_grace_period: "soon" is not a duration',
    ],
  ),
  one('a duration without a unit', 'services:\n  a: { image: x, healthcheck: { test: x, interval: 5 } }\n', [
    '2:52 services.a.healthcheck.interval must be text, is 5',
  ]),
  one('numbers and switches', 'services:\n  a: { image: x, cpus: many, tty: perhaps }\n', [
    '2:24 services.a.cpus: "many" is not a number',
    '2:35 services.a.tty: "perhaps" is not true or false',
  ]),
  one(
    'a health check that begins with its command',
    'services:\n  a: { image: x, healthcheck: { test: [curl, x] } }\n',
    ['2:39 services.a.healthcheck.test: the list must begin with CMD'],
  ),
  one('a bind mount of nothing', 'services:\n  a: { image: x, volumes: [{ type: bind, target: /x }] }\n', [
    '2:28 services.a.volumes: a bind mount without a source',
  ]),
  // files
  one('no env_file', 'services:\n  a: { image: x, env_file: [a.env] }\n', [
    '2:29 a: env_file: ~/a.env does not exist',
  ]),
  one('no included file', 'include: [db.yaml]\nservices:\n  a: { image: x }\n', [
    '1:11 ~/db.yaml does not exist',
  ]),
  one('no extended file', 'services:\n  a: { extends: { service: b, file: b.yaml } }\n', [
    '2:37 ~/b.yaml does not exist',
  ]),
  one('no extended service', 'services:\n  a: { image: x, extends: base }\n  basis: { image: x }\n', [
    '2:27 a extends "base", which is not in its file',
  ]),
  one('an extends that leads back', 'services:\n  a: { extends: b }\n  b: { extends: a }\n', [
    '2:8 an extends leads back to itself: a in ~/compose.yaml -> b in ~/compose.yaml -> a in ~/compose.yaml',
    '3:8 an extends leads back to itself: b in ~/compose.yaml -> a in ~/compose.yaml -> b in ~/compose.yaml',
  ]),
  one(
    'no build context',
    'services:\n  a: { build: ./api }\n',
    ['2:15 a: build context: ~/api does not exist', '2:15 a: Dockerfile: ~/api/Dockerfile does not exist'],
    false,
  ),
  one(
    'no secret file',
    'services:\n  a: { image: x, secrets: [s] }\nsecrets:\n  s: { file: ./s.txt }\n',
    ['4:14 secrets.s, which a uses: ~/s.txt does not exist'],
    false,
  ),
  one(
    'a port twice',
    'services:\n  a: { image: x, ports: ["8080:80"] }\n  b: { image: x, ports: ["127.0.0.1:8080:90"] }\n',
    ['3:26 b publishes port 8080, and so does a (~/compose.yaml:2)'],
    false,
  ),
  // several files
  {
    name: 'mistakes in an included, an extended and an overriding file',
    files: {
      'compose.yaml':
        'include: [inc/db.yaml]\nservices:\n  a:\n    extends: { file: base.yaml, service: base }\n    depends_on: [dbb]\n',
      'compose.override.yaml': 'services:\n  a:\n    prts: []\n',
      'base.yaml': 'services:\n  base:\n    image: x\n    restrt: always\n  other:\n    unrelated: true\n',
      'inc/db.yaml': 'services:\n  db:\n    image: x\n    env_file: no.env\n    halthcheck: {}\n',
    },
    told: [
      'base.yaml:4:5 unknown key "restrt" in services.base',
      'compose.override.yaml:3:5 unknown key "prts" in services.a',
      'compose.yaml:5:18 a: depends_on names the unknown service "dbb"',
      'inc/db.yaml:4:15 db: env_file: ~/inc/no.env does not exist',
      'inc/db.yaml:5:5 unknown key "halthcheck" in services.db',
    ],
  },
  {
    name: 'an include that leads back',
    files: {
      'compose.yaml': 'include: [b.yaml]\n',
      'b.yaml': 'include: [compose.yaml]\nservices: { a: { image: x } }\n',
    },
    told: ['b.yaml:1:11 an include leads back to itself: ~/compose.yaml -> ~/b.yaml -> ~/compose.yaml'],
  },
  {
    name: 'a broken .env',
    files: { 'compose.yaml': 'services: { a: { image: x } }\n', '.env': 'A=1\nnot a variable\n' },
    told: ['.env:2:1 "not a variable" sets no variable'],
  },
]

/** Files that Compose accepts, each with something that a hasty check would call wrong. */
export const valid: readonly {
  readonly name: string
  readonly files: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
}[] = [
  {
    name: 'merge keys and anchors',
    files: {
      'compose.yaml':
        'x-a: &a\n  image: x\n  environment: &e { A: 1 }\nservices:\n  a: { <<: *a }\n  b: { <<: [*a], environment: { <<: *e, B: } }\n',
    },
  },
  {
    name: 'long and short forms',
    files: {
      'compose.yaml':
        'services:\n  a:\n    image: x\n    ports: ["80", 81, "8080:80/udp", "127.0.0.1:82:80", "9000-9002:9000-9002", "8100-8110:80", "[::1]:83:80", { target: 80, published: "84", mode: host }]\n    volumes: ["v:/v", "./x:/x:ro", "/anon", "~/h:/h", { type: tmpfs, target: /t, tmpfs: { size: 64m } }]\n    command: ["a", "b"]\n    healthcheck: { test: ["CMD-SHELL", "x"], interval: 1m30s, timeout: 500ms, start_period: 1h }\n    deploy: { resources: { limits: { memory: 512M, cpus: "0.5" } } }\n    mem_limit: 512M\n    shm_size: 67108864\n    ulimits: { nofile: { soft: 1, hard: 2 }, nproc: 5 }\n    logging: { driver: json-file, options: { max-size: 10m } }\nvolumes: { v: }\n',
    },
  },
  {
    name: 'variables that stand for numbers and switches',
    files: {
      'compose.yaml':
        'services:\n  a:\n    image: "x:${TAG:-1}"\n    scale: ${N}\n    tty: ${TTY:-true}\n    cpus: ${CPUS:-0.5}\n    privileged: "${P:-false}"\n    ports: ["${PORT:-80}:80"]\n    command: echo $$HOME $${X}\n',
    },
    env: { N: '2' },
  },
  {
    name: 'profiles',
    files: {
      'compose.yaml':
        'services:\n  a: { image: x, depends_on: { b: { condition: service_started, required: false } } }\n  b: { image: x, profiles: [p], depends_on: [c], env_file: no.env }\n  c: { image: x, profiles: [p] }\n',
    },
  },
  {
    name: 'what may be written twice',
    files: {
      'compose.yaml':
        'services:\n  a: { image: x, ports: ["80:80", "80:80"], cap_add: [A, A], volumes: ["/a:/a", "/a:/a"], environment: [A=1, A=1] }\n  b: { image: x, ports: [{ target: 1 }, { target: 1 }], command: [a, a] }\n',
    },
  },
  {
    name: 'an override that only adds',
    files: {
      'compose.yaml':
        'services:\n  a: { image: x, depends_on: { b: { condition: service_healthy } } }\n  b: { image: x }\n',
      'compose.override.yaml': 'services:\n  a: { ports: ["80:80"] }\n',
    },
  },
  {
    name: 'reset and override',
    files: {
      'compose.yaml':
        'services:\n  a: { image: x, ports: ["80:80"], depends_on: [b], env_file: no.env }\n  b: { image: x, ports: ["81:80"] }\n',
      'compose.override.yaml':
        'services:\n  a:\n    ports: !override ["81:80"]\n    env_file: !reset []\n  b:\n    ports: !reset []\n',
    },
  },
  {
    name: 'include and extends',
    files: {
      'compose.yaml':
        'include:\n  - inc/db.yaml\n  - { path: [inc/x.yaml, inc/y.yaml], project_directory: inc }\nservices:\n  a: { extends: { file: base.yaml, service: base }, depends_on: [db, y] }\n  b: { extends: a }\n',
      'base.yaml': 'services:\n  base: { image: x, env_file: base.env }\n',
      'base.env': 'A=1\n',
      'inc/db.yaml': 'services:\n  db: { image: "x${V:?}", env_file: db.env }\n',
      'inc/.env': 'V=1\n',
      'inc/db.env': '',
      'inc/x.yaml': 'services:\n  y: { image: x }\n',
      'inc/y.yaml': 'services:\n  y: { command: z }\n',
    },
  },
  {
    name: 'x- everywhere',
    files: {
      'compose.yaml':
        'x-devstack: { a: 1 }\nservices:\n  a: { image: x, x-devstack: { watch: [] } }\nnetworks: { default: { x-a: 1 } }\n',
    },
  },
  {
    name: 'secrets and configs',
    files: {
      'compose.yaml':
        'services:\n  a: { image: x, secrets: [s, { source: t, target: /t }], configs: [c] }\nsecrets:\n  s: { environment: S }\n  t: { external: true, name: tt }\nconfigs:\n  c: { content: "x" }\n',
    },
    env: { S: 'x' },
  },
  {
    name: 'the network of another',
    files: {
      'compose.yaml':
        'services:\n  a: { image: x, network_mode: "service:b" }\n  b: { image: x, networks: { n: { aliases: [q] } } }\nnetworks: { n: { driver: bridge } }\n',
    },
  },
  {
    name: 'watch rules',
    files: {
      'compose.yaml':
        'services:\n  a:\n    image: x\n    develop:\n      watch:\n        - { action: sync, path: ./a, target: /a, ignore: [x/] }\n        - { action: rebuild, path: b }\n',
    },
  },
  {
    name: 'an external volume',
    files: {
      'compose.yaml':
        'services:\n  a: { image: x, volumes: ["v:/v"] }\nvolumes: { v: { external: true, name: q } }\n',
    },
  },
  {
    name: 'a .env with quotes',
    files: {
      'compose.yaml': 'services:\n  a: { image: "x:${T}" }\n',
      '.env': '# c\nexport T="1" # d\nU=\'two\nlines\'\n',
    },
  },
  { name: 'no service', files: { 'compose.yaml': 'services: {}\n' } },
  { name: 'json', files: { 'compose.yaml': '{"services": {"a": {"image": "x"}}}' } },
]
