import { headerOf, type Answer, type Difference, type Outcome } from './exchange.js'
import { diffJson, readJson, showJson } from './exchange-json.js'
import { diffLines } from './exchange-lines.js'
import { comparableHeaders, differsOnlyInKept, hidesHeader, maskText, type Masks } from './exchange-mask.js'

/** Everything in which two outcomes of one request differ and that no mask hides. */
export function compareOutcomes(left: Outcome, right: Outcome, masks: Masks): readonly Difference[] {
  if ('failure' in left || 'failure' in right) {
    // That neither answers is no agreement: nothing was compared.
    return [difference('answer', null, answerText(left), answerText(right))]
  }
  return compareAnswers(left.answer, right.answer, masks)
}

/** The differences, each marked where it is also one between two answers of the same side. */
export function markUnsteady(
  differences: readonly Difference[],
  again: readonly Difference[],
): readonly Difference[] {
  const places = new Set(again.map(placeOf))
  return differences.map((one) => (places.has(placeOf(one)) ? { ...one, unsteady: true } : one))
}

function placeOf({ part, path }: Difference): string {
  return `${part} ${path ?? ''}`
}

function compareAnswers(left: Answer, right: Answer, masks: Masks): readonly Difference[] {
  const status =
    left.status === right.status
      ? []
      : [difference('status', null, String(left.status), String(right.status))]
  return [...status, ...compareHeaders(left, right, masks), ...compareBodies(left, right, masks)]
}

function compareHeaders(left: Answer, right: Answer, masks: Masks): readonly Difference[] {
  const [one, other] = [comparableHeaders(masks, left.headers), comparableHeaders(masks, right.headers)]
  const names = [...new Set([...one.keys(), ...other.keys()])].sort()
  return names.flatMap((name) => {
    const [before, after] = [one.get(name) ?? null, other.get(name) ?? null]
    if (before === after || hidesHeader(masks, name)) return []
    const own = before !== null && after !== null && differsOnlyInKept(masks, before, after)
    return own ? [] : [difference('header', name, before, after)]
  })
}

function compareBodies(left: Answer, right: Answer, masks: Masks): readonly Difference[] {
  const [one, other] = [left.body, right.body]
  if (one.kind === 'text' && other.kind === 'text') {
    const [before, after] = [jsonOf(left, one.text), jsonOf(right, other.text)]
    if (before !== undefined && after !== undefined)
      return diffJson(before, after, masks).map((found) =>
        difference('body', found.path, shown(found.left), shown(found.right)),
      )
    const [from, to] = [maskText(masks, one.text), maskText(masks, other.text)]
    return differsOnlyInKept(masks, from, to) ? [] : compareTexts(from, to)
  }
  if (one.kind === 'binary' && other.kind === 'binary' && one.sha256 === other.sha256) return []
  if (one.kind === 'stream' && other.kind === 'stream') return []
  return [difference('body', null, bodyText(left), bodyText(right))]
}

function compareTexts(left: string, right: string): readonly Difference[] {
  if (left === right) return []
  return [{ ...difference('body', null, null, null), lines: diffLines(left, right) }]
}

/** Undefined where the body is not said to be JSON, or is none. */
function jsonOf({ headers }: Answer, text: string): unknown {
  const type = headerOf(headers, 'content-type') ?? ''
  return /^[^;]*[/+]json\b/i.test(type) ? readJson(text) : undefined
}

function shown(value: unknown): string | null {
  return value === undefined ? null : showJson(value)
}

function answerText(outcome: Outcome): string {
  return 'failure' in outcome ? `none: ${outcome.failure}` : String(outcome.answer.status)
}

function bodyText({ body }: Answer): string {
  switch (body.kind) {
    case 'text':
      return `text of ${String(body.text.length)} characters`
    case 'binary':
      return `sha256 ${body.sha256.slice(0, 12)}, ${String(body.bytes)} bytes`
    case 'stream':
      return 'a stream'
  }
}

function difference(
  part: Difference['part'],
  path: string | null,
  left: string | null,
  right: string | null,
): Difference {
  return { part, path, left, right, lines: [], unsteady: false }
}
