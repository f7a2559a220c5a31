import { createServer } from 'node:net'
import { once } from 'node:events'
import { mkdir, stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { socketPath } from '../../../src/host/project/socket.js'
import { Folder } from './folder.js'

test('the socket lies in the state folder where its path fits', async () => {
  expect(await socketPath('/home/me/.local/state/devstack/shop-1/compose', {})).toBe(
    '/home/me/.local/state/devstack/shop-1/compose/session.sock',
  )
})

test('a path that is too long goes to the runtime folder, and a server can listen there', async () => {
  await using folder = await Folder.with()
  const deep = `/home/${'x'.repeat(100)}`
  const runtime = folder.at('run')
  await mkdir(runtime)
  const path = await socketPath(deep, { XDG_RUNTIME_DIR: runtime })
  expect(path).toMatch(/\/run\/devstack\/[0-9a-f]{16}\.sock$/)
  expect((await stat(folder.at('run/devstack'))).mode & 0o777).toBe(0o700)
  const server = createServer().listen(path)
  await once(server, 'listening')
  server.close()
})

test('without a usable runtime folder it goes to /tmp, in a folder of this user only', async () => {
  const user = String(process.getuid?.())
  const deep = `/home/${'ä'.repeat(60)}`
  for (const env of [{}, { XDG_RUNTIME_DIR: '/nowhere' }, { XDG_RUNTIME_DIR: `/${'y'.repeat(100)}` }]) {
    expect(await socketPath(deep, env)).toMatch(new RegExp(`^/tmp/devstack-${user}/[0-9a-f]{16}\\.sock$`))
  }
  expect(await socketPath(`${deep}2`, {})).not.toBe(await socketPath(deep, {}))
})
