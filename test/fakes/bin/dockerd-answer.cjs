// What the fake dockerd does: an engine that knows only its version, until it is ended.
const { readFileSync, writeFileSync } = require('node:fs')
const { createServer } = require('node:http')
const { dirname, join } = require('node:path')

const state = (name) => readFileSync(join(process.env.FAKE_STATE, name), 'utf8').trim()
const socket = state('socket')
writeFileSync(join(dirname(socket), 'docker.pid'), String(process.pid))
createServer((_request, answer) => {
  answer.end(JSON.stringify({ Version: state('engine'), ApiVersion: '1.45' }))
}).listen(socket)
