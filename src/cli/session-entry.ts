import { cacheCompiledCode } from './compile-cache.js'

// The entry of the session's process, as entry.ts is of the command.

cacheCompiledCode(process.env)
const { runProcess } = await import('./session-main.js')
process.exit(await runProcess())
