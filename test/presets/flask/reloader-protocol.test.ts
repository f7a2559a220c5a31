import { connect } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { environment, FLASK, packet, raw, Served, until, uwsgi, variablesOf } from './reloader-rig.js'

// Plain WSGI: Flask would tidy up what is to be looked at here.
const WSGI = `
import json, os, time
closed = []
class Closing:
    def __init__(self, parts): self.parts = iter(parts)
    def __iter__(self): return self
    def __next__(self): return next(self.parts)
    def close(self): closed.append("closed")

def forever():
    while True:
        yield b"x" * 65536

def application(environ, start_response):
    path = environ["PATH_INFO"]
    ok = lambda *headers: start_response("200 OK", [("X-From", "app"), *headers])
    if path == "/environ":
        ok()
        return [json.dumps({k: v for k, v in environ.items() if isinstance(v, (str, int, bool, tuple))}).encode()]
    if path == "/echo":
        ok(); return [environ["wsgi.input"].read()]
    if path == "/ignore":
        ok(); return [b"ignored"]
    if path == "/lines":
        ok(); return [json.dumps([line.decode() for line in environ["wsgi.input"]]).encode()]
    if path == "/generator":
        ok(); return Closing([b"a", b"", b"b"])
    if path == "/closed":
        ok(); return [json.dumps(closed).encode()]
    if path == "/forever":
        ok(); return Closing(forever())
    if path == "/write":
        write = ok(); write(b"written,"); return [b"returned"]
    if path == "/file":
        ok(); return environ["wsgi.file_wrapper"](open(__file__, "rb"), 100)
    if path == "/empty":
        start_response("204 No Content", []); return [b"not to be sent"]
    if path == "/early":
        raise RuntimeError("early")
    if path == "/late":
        ok(); return late()
    if path == "/again":
        ok()
        try:
            1 / 0
        except ZeroDivisionError:
            import sys
            start_response("503 Later", [], sys.exc_info())
        return [b"again"]
    if path == "/parts":
        ok(); return parts()
    ok(); return [b"other"]

def late():
    yield b"begun"
    raise RuntimeError("late")

def parts():
    yield b"first"
    while not os.path.exists("go-on"):
        time.sleep(0.01)
    yield b"second"
`

let served: Served
let place = ''
beforeAll(async () => {
  const venv = await environment(FLASK)
  const ini = `[uwsgi]\nhome = ${venv}\nmodule = wsgi\nsocket = %dapp.sock\nbuffer-size = 8192\n`
  served = await Served.start(['uwsgi', 'uwsgi.ini'], { 'wsgi.py': WSGI, 'uwsgi.ini': ini })
  place = join(served.folder, 'app.sock')
  await (
    await served.control()
  ).hello
}, 300_000)
afterAll(() => served[Symbol.asyncDispose]())

describe('the uwsgi protocol', () => {
  test('variables become the environment', async () => {
    const answer = await uwsgi(place, '/environ?a=1', 'GET', '', {
      HTTP_X_ONE: 'é',
      HTTPS: 'on',
      SCRIPT_NAME: '/sub',
    })
    expect(JSON.parse(answer.body)).toMatchObject({
      REQUEST_METHOD: 'GET',
      PATH_INFO: '/environ',
      SCRIPT_NAME: '/sub',
      QUERY_STRING: 'a=1',
      CONTENT_LENGTH: '',
      HTTP_X_ONE: Buffer.from('é').toString('latin1'),
      'wsgi.url_scheme': 'https',
      'wsgi.version': [1, 0],
      'wsgi.multithread': false,
      'wsgi.multiprocess': false,
      'wsgi.run_once': false,
    })
    expect(answer.headers).toMatchObject({ 'X-From': 'app' })
  })

  test.each([
    [{}, 'http'],
    [{ HTTPS: 'off' }, 'http'],
    [{ UWSGI_SCHEME: 'https' }, 'https'],
    [{ HTTP_X_FORWARDED_PROTO: 'https' }, 'https'],
  ])('the scheme of %j is %s', async (more: Record<string, string>, scheme) => {
    const { body } = await uwsgi(place, '/environ', 'GET', '', more)
    expect(JSON.parse(body)).toMatchObject({ 'wsgi.url_scheme': scheme })
  })

  test('a body is read to its length, by lines too, and may be left alone', async () => {
    const large = 'x'.repeat(3_000_000)
    expect((await uwsgi(place, '/echo', 'POST', large)).body).toBe(large)
    expect(JSON.parse((await uwsgi(place, '/lines', 'POST', 'a\nb')).body)).toEqual(['a\n', 'b'])
    expect((await uwsgi(place, '/ignore', 'POST', large)).body).toBe('ignored')
    expect((await uwsgi(place, '/echo')).body).toBe('')
  })

  test('a body in chunks', async () => {
    const chunks = Buffer.from('3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n')
    const text = await raw(
      place,
      packet(variablesOf('/echo', 'POST', { HTTP_TRANSFER_ENCODING: 'chunked' })),
      chunks,
    )
    expect(text).toMatch(/\r\n\r\nabcdefg$/)
  })

  test('variables up to buffer-size are taken, larger ones are not, as by uWSGI', async () => {
    expect((await uwsgi(place, '/', 'GET', '', { HTTP_COOKIE: 'c'.repeat(7000) })).status).toBe(200)
    expect(await raw(place, packet(variablesOf('/', 'GET', { HTTP_COOKIE: 'c'.repeat(9000) })))).toBe('')
    expect(served.log()).toMatch(/invalid request block size: \d+ \(max 8192\)/)
  })

  test('garbage ends its own connection only', async () => {
    expect(await raw(place, Buffer.from('GET / HTTP/1.0\r\n\r\n'))).toBe('')
    expect(await raw(place, Buffer.from([0, 4, 0, 0, 255, 255, 1, 1]))).toBe('')
    expect((await uwsgi(place)).body).toBe('other')
  })
})

describe('WSGI', () => {
  test('a generator is sent and closed; so is one whose client hung up', async () => {
    expect((await uwsgi(place, '/generator')).body).toBe('ab')
    const socket = connect(place)
    socket.write(packet(variablesOf('/forever')))
    await once(socket, 'data')
    socket.destroy()
    const closed = await until(
      async () => JSON.parse((await uwsgi(place, '/closed')).body) as string[],
      (all) => all.length === 2,
    )
    expect(closed).toEqual(['closed', 'closed'])
  })

  test('each part is sent as it comes', async () => {
    const socket = connect(place)
    socket.setEncoding('latin1')
    let text = ''
    socket.on('data', (data: string) => (text += data))
    socket.write(packet(variablesOf('/parts')))
    await until(
      () => text,
      (all) => all.endsWith('first'),
    )
    await served.write('go-on', '')
    await once(socket, 'close')
    expect(text).toMatch(/firstsecond$/)
  })

  test('write(), wsgi.file_wrapper and start_response with an error', async () => {
    expect((await uwsgi(place, '/write')).body).toBe('written,returned')
    expect((await uwsgi(place, '/file')).body).toBe(WSGI)
    expect(await uwsgi(place, '/again')).toMatchObject({ status: 503, body: 'again' })
  })

  test('HEAD and 204 have no body', async () => {
    expect(await uwsgi(place, '/generator', 'HEAD')).toMatchObject({ status: 200, body: '' })
    expect(await uwsgi(place, '/empty')).toMatchObject({ status: 204, body: '' })
  })

  test('an error before the headers is a 500, one after them ends the answer; both are printed', async () => {
    expect(await uwsgi(place, '/early')).toMatchObject({ status: 500, body: 'Internal Server Error\n' })
    expect(await uwsgi(place, '/late')).toMatchObject({ status: 200, body: 'begun' })
    await until(
      () => served.log(),
      (log) => log.includes('RuntimeError: early') && log.includes('RuntimeError: late'),
    )
  })
})
