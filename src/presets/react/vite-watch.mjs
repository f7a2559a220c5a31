/**
 * Runs beside Vite in its container and proves that Vite took files up.
 *
 *     node vite-watch.mjs '{"wait": 60, "folders": ["/app"], "mounts": []}'
 *
 * JSON lines. First `hello`, with `server` null where no Vite is found. Then `{"id": 1, "type": "prove", "written": [...],
 * "deleted": [...]}` is answered by `taken`, `failed`, `restart` or `unproven`, the last alone where no Vite is found; an
 * error that an open page met is told as `changed`.
 */
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { askAgain, findVite, possibleRoots } from './vite-find.mjs'
import { Proof } from './vite-proof.mjs'
import { connect } from './vite-socket.mjs'

const PAUSE_MS = 50
/** Between attempts to reach a server that went away: at first, when it is back in an instant, and at last. */
const SOON_MS = 10
const LATE_MS = 1000
/** A server that answers as something else for this long is something else. */
const OTHER_MS = 5000

const { wait = 60, folders = [], mounts = [] } = JSON.parse(process.argv[2] ?? '{}')
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)

async function untilFound() {
  const began = performance.now()
  for (;;) {
    const { vite, others } = await findVite()
    if (vite !== null) return vite
    const waited = performance.now() - began
    if (others.length > 0 && waited > OTHER_MS)
      throw new Error(`port ${others.join(', ')} answers, but not as Vite does`)
    if (waited > wait * 1000) throw new Error(`no Vite answers in this container: waited ${wait} s`)
    await sleep(PAUSE_MS)
  }
}

/** Opens Vite's socket, wherever it is. */
async function openSocket(vite, onMessage, onEnd) {
  let failure = new Error('Vite has no socket')
  for (const { port, path } of vite.sockets) {
    try {
      return await connect({ ...vite.address, port }, path, onMessage, onEnd)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

/** Keeps a socket to Vite open, over its restarts. Resolves when there is one. */
async function follow(found, onMessage, onRestart) {
  let vite = found
  const again = async () => {
    for (let pause = SOON_MS; ; pause = Math.min(pause * 1.1, LATE_MS)) {
      await sleep(pause)
      try {
        const fresh = (await askAgain(vite)) ?? vite
        await openSocket(fresh, onMessage, ended)
        vite = fresh
        onRestart(fresh)
        return
      } catch {
        // Not there yet.
      }
    }
  }
  const ended = () => void again()
  await openSocket(vite, onMessage, ended)
}

async function main() {
  const vite = await untilFound()
  const proof = new Proof(vite, (error) => say({ type: 'changed', error }))
  await follow(
    vite,
    (text) => proof.hear(text),
    (fresh) => proof.restarted(fresh),
  )
  await proof.findRoot(possibleRoots(vite.pid, folders), mounts)
  say({ type: 'hello', protocol: 1, server: 'vite', port: vite.address.port, ...proof.about() })
  const lines = createInterface({ input: process.stdin })
  lines.on('close', () => {
    proof.clean()
    process.exit(0)
  })
  for await (const line of lines) {
    const { id, ...request } = JSON.parse(line)
    proof.prove(request).then(
      (answer) => say({ id, ...answer }),
      (error) => say({ id, type: 'unproven', reason: String(error?.message ?? error) }),
    )
  }
}

/** Stays as long as whoever asked, and answers, as it would with a Vite. */
async function refuse(reason) {
  say({ type: 'hello', protocol: 1, server: null, reason })
  for await (const line of createInterface({ input: process.stdin })) {
    say({ id: JSON.parse(line).id, type: 'unproven', reason })
  }
  process.exit(0)
}

main().catch((error) => refuse(error.message))
