import { cacheCompiledCode } from './compile-cache.js'

// The entry of the bundle: the one place that exits. It imports next to nothing, so that the rest comes from the cache.

cacheCompiledCode(process.env)
// A reader that goes away (`devstack logs | head`) ends the command quietly.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
  })

const { main } = await import('./main.js')
const code = await main(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
})
await Promise.all(
  [process.stdout, process.stderr].map((stream) => new Promise((resolve) => stream.write('', resolve))),
)
process.exit(code)
