import type { LogRecord } from '../orchestrator/ports.js'
import { paintFor, prefixStyle } from '../ui/paint.js'

/** `api | the line`, the prefix coloured by service in the order of appearance. */
export function createPainter(color: boolean, timestamps: boolean): (record: LogRecord) => string {
  const paint = paintFor(color)
  const names: string[] = []
  return ({ service, at, text }) => {
    if (!names.includes(service)) names.push(service)
    const width = Math.max(...names.map((name) => name.length))
    const prefix = paint(prefixStyle(names.indexOf(service)), `${service.padEnd(width)} |`)
    return `${prefix} ${timestamps ? `${at} ` : ''}${text}`
  }
}
