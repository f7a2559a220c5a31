import { parentPort } from 'node:worker_threads'
import type { Request } from './messages.js'
import { WatchService } from './watch-service.js'

const port = parentPort
if (port === null) throw new Error('this is the entry of a worker thread')
const service = new WatchService((answer) => port.postMessage(answer))
port.on('message', (request: Request) => service.handle(request))
