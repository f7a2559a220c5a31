import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { onEngine } from '../../e2e/on-engine.js'
import { Control, RELOADER } from './reloader-rig.js'

const NAME = `devstack-reloader-${String(process.pid)}`
const docker = (...words: string[]) => execa('docker', words)
const there = await execa('docker', ['image', 'inspect', 'shop-api'], { reject: false })
if (there.exitCode !== 0)
  process.stderr.write('skipped: the image shop-api is not there (devstack up builds it)\n')

/** Asks the shop's API by the uwsgi protocol, from inside, as its container's user. */
const ASK = `
import socket, struct, sys
variables = {"REQUEST_METHOD": "GET", "REQUEST_URI": sys.argv[1], "PATH_INFO": sys.argv[1], "QUERY_STRING": "",
  "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost"}
pack = lambda text: struct.pack("<H", len(text)) + text.encode()
data = b"".join(pack(name) + pack(value) for name, value in variables.items())
with socket.socket(socket.AF_UNIX) as s:
    s.connect("/run/shop/api.sock")
    s.sendall(struct.pack("<BHB", 0, len(data), 0) + data)
    while part := s.recv(65536):
        sys.stdout.write(part.decode())
`
const ask = async (path: string): Promise<string> =>
  (await docker('exec', NAME, 'python3', '-c', ASK, path)).stdout
const write = (path: string, text: string) =>
  execa('docker', ['exec', '-i', NAME, 'sh', '-c', 'cat > "$1"', 'sh', path], { input: text })

const onShop = there.exitCode === 0 ? onEngine : describe.skip
onShop('the shop in its own image, unchanged, with all rights taken away', () => {
  let control: Control
  beforeAll(async () => {
    const command = ['/usr/bin/python3', '-B', '/.devstack/flask/run.py', '--app', 'wsgi:application', '--']
    const rights = [
      '--init',
      '--user',
      'app',
      '--cap-drop',
      'ALL',
      '--security-opt',
      'no-new-privileges:true',
    ]
    const stores = [
      'DATABASE_URL=postgresql+psycopg://shop@postgres/shop',
      'ELASTICSEARCH_URL=http://elasticsearch:9200',
    ]
    const env = [...stores, 'REDIS_URL=redis://redis:6379/0'].flatMap((one) => ['-e', one])
    const original = ['uwsgi', '--ini', '/app/uwsgi.ini']
    await docker('create', '--name', NAME, ...rights, ...env, 'shop-api', ...command, ...original)
    await execa(
      'tar',
      ['-C', `${RELOADER}..`, '--transform', 's,^reloader,.devstack/flask,', '-cf', '-', 'reloader'],
      {
        encoding: 'buffer',
      },
    ).then(({ stdout }) => execa('docker', ['cp', '-', `${NAME}:/`], { input: stdout }))
    await docker('start', NAME)
    control = Control.on('docker', [
      'exec',
      '-i',
      NAME,
      'python3',
      '-B',
      '-S',
      '-E',
      '/.devstack/flask/ctl.py',
    ])
  })
  afterAll(async () => {
    control.close()
    await docker('rm', '--force', NAME)
  })

  test('it serves on uWSGI’s socket, in the group that nginx is in', async () => {
    expect(await control.hello).toMatchObject({
      server: 'reloader',
      app: 'wsgi:application',
      state: 'serving',
      addresses: ['unix:/run/shop/api.sock'],
    })
    const { stdout } = await docker('exec', NAME, 'stat', '-c', '%a %U %G', '/run/shop/api.sock')
    expect(stdout).toBe('660 app app')
    expect(await ask('/api/none')).toMatch(/^HTTP\/1\.1 404 /)
  })

  test('a save is running code; a broken one keeps the last good', async () => {
    const path = '/app/shop/errors.py'
    const { stdout: original } = await docker('exec', NAME, 'cat', path)
    for (const mark of ['one', 'two', 'six']) {
      const hook = `\n_init = init_app\ndef init_app(app):\n    _init(app)\n    app.after_request(lambda r: (r.headers.set("X-Mark", "${mark}"), r)[1])\n`
      await write(path, original + hook)
      expect(await control.reload([path])).toMatchObject({ type: 'reloaded', what: 'app' })
      expect(await ask('/api/none')).toContain(`X-Mark: ${mark}`)
    }
    await write(path, `${original}\n1 / 0\n`)
    expect(await control.reload([path])).toMatchObject({
      type: 'failed',
      serving: true,
      error: { file: path },
    })
    expect(await ask('/api/none')).toContain('X-Mark: six')
    await write(path, original)
    expect(await control.reload([path])).toMatchObject({ type: 'reloaded' })
    expect(await ask('/api/none')).not.toContain('X-Mark')
  })

  test('stopping the container ends it at once', async () => {
    await docker('stop', '--time', '10', NAME)
    const { stdout } = await docker('inspect', '--format', '{{.State.ExitCode}}', NAME)
    expect(stdout).toBe('0')
  })
})
