import { headerOf, type HeaderList } from './exchange.js'
import { decode, isSecretName, recordedHeaders, recordedTarget, type Redactor } from './exchange-secrets.js'
import { literal } from './exchange-template.js'

/** One line of a recording, as it is written. Its keys are the format's: see exchange-read.ts. */
export interface RecordedEntry {
  readonly request: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string
  readonly json?: unknown
  readonly form?: Readonly<Record<string, string | readonly string[]>>
  readonly base64?: string
  readonly keep?: Readonly<Record<string, string>>
  readonly skip?: string
  /** When it came, what was answered, and after how long: for the reader. */
  readonly at?: string
  readonly status?: number
  readonly ms?: number
}

/** What a request carried: its text where it is one, else its bytes; or why it was not kept. */
export type SeenBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bytes'; readonly base64: string; readonly latin1: string }
  | { readonly kind: 'tooLong'; readonly bytes: number }

/** A request as it passed. */
export interface SeenRequest {
  readonly method: string
  readonly target: string
  readonly headers: HeaderList
  readonly body: SeenBody
  /** Where the client believed the stack to be. */
  readonly origin: string
}

type BodyPart = Pick<RecordedEntry, 'body' | 'json' | 'form' | 'base64' | 'skip'>

/** The request to write, without what is secret in it. */
export function recordRequest(seen: SeenRequest, redactor: Redactor): RecordedEntry {
  const headers = recordedHeaders(seen.headers, seen.origin, redactor)
  return {
    request: `${seen.method} ${recordedTarget(seen.target, redactor)}`,
    ...(headers.length === 0 ? {} : { headers: grouped(headers) }),
    ...recordBody(seen.body, headerOf(seen.headers, 'content-type') ?? '', redactor),
  }
}

function recordBody(body: SeenBody, type: string, redactor: Redactor): BodyPart {
  const boundary = /^multipart\/.*boundary="?([^";]+)"?/i.exec(type)?.[1]
  switch (body.kind) {
    case 'none':
      return {}
    case 'tooLong':
      return { skip: `its body of ${(body.bytes / 1e6).toFixed(1)} MB was not kept` }
    case 'bytes': {
      const hidden =
        boundary !== undefined && recordParts(body.latin1, boundary, redactor) !== literal(body.latin1)
      return hidden ? { skip: 'its body holds a secret beside a file' } : { base64: body.base64 }
    }
    case 'text':
      if (boundary !== undefined) return { body: recordParts(body.text, boundary, redactor) }
      if (/^application\/x-www-form-urlencoded/i.test(type)) return recordForm(body.text, redactor)
      return recordText(body.text, redactor)
  }
}

/** JSON is found by its look: what a page sends as it is left is said to be plain text. */
function recordText(text: string, redactor: Redactor): BodyPart {
  if (!/^\s*[[{]/.test(text)) return { body: redactor.value('', text) }
  let changed = false
  const change = (value: unknown, name: string): unknown => {
    if (typeof value === 'string' || (typeof value === 'number' && isSecretName(name))) {
      const text = String(value)
      const written = redactor.value(name, text)
      if (written === literal(text)) return typeof value === 'string' ? written : value
      changed = true
      return written
    }
    if (Array.isArray(value)) return value.map((item: unknown) => change(item, name))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, change(child, key)]))
  }
  try {
    const json = change(JSON.parse(text), '')
    return changed ? { json } : { body: literal(text) }
  } catch {
    return { body: literal(text) }
  }
}

function recordForm(text: string, redactor: Redactor): BodyPart {
  const fields = text.split('&').map((field): [string, string] => {
    const [name = '', ...value] = field.split('=')
    return [decode(name), decode(value.join('='))]
  })
  const written = fields.map(([name, value]): [string, string] => [name, redactor.value(name, value)])
  const changed = written.some(([, value], index) => value !== literal(fields[index]?.[1] ?? ''))
  return changed ? { form: grouped(written) } : { body: literal(text) }
}

/** The parts of a form with files, the values of secret fields replaced. */
function recordParts(text: string, boundary: string, redactor: Redactor): string {
  const line = `--${boundary}`
  return text
    .split(line)
    .map((part) => {
      const name = /^[^]*?;\s*name="([^"]*)"/i.exec(part.slice(0, 1000))?.[1]
      const start = part.indexOf('\r\n\r\n') + 4
      if (name === undefined || start < 4 || /;\s*filename="/i.test(part.slice(0, start)))
        return literal(part)
      const value = part.slice(start).replace(/\r\n$/, '')
      return literal(part.slice(0, start)) + redactor.value(name, value) + part.slice(start + value.length)
    })
    .join(line)
}

/** By name, in the order of their first appearance. */
function grouped(pairs: HeaderList): Readonly<Record<string, string | readonly string[]>> {
  const groups = new Map<string, readonly string[]>()
  for (const [name, value] of pairs) groups.set(name, [...(groups.get(name) ?? []), value])
  return Object.fromEntries(
    [...groups].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]),
  )
}
