import { kindOf } from '../../../core/kubernetes-objects.js'
import type { Findings, ManifestObject } from '../../../core/kubernetes-objects.js'
import type { Path } from '../../../core/yaml.js'

/** Tells texts that hold a Service's name with the manifests' namespace: that name leads nowhere in the stack's own. */
export function tellForeignNames(
  objects: readonly ManifestObject[],
  written: string,
  actual: string,
  findings: Findings,
): void {
  const services = objects
    .filter((object) => kindOf(object) === 'Service')
    .map(({ metadata }) => metadata.name)
  if (services.length === 0) return
  const name = new RegExp(
    `(?<![\\w.-])(${services.map(escaped).join('|')})\\.${escaped(written)}(?=\\.svc\\b|[^\\w.-]|$)`,
  )
  for (const object of objects) {
    for (const [path, text] of texts(object, [])) {
      const [found] = name.exec(text) ?? []
      if (found === undefined) continue
      const what = `${found} leads nowhere here: the namespace is ${actual}`
      findings.warning(
        object,
        path,
        what,
        'leave out the namespace: names are looked up in the own one first',
      )
    }
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[^\w-]/g, String.raw`\$&`)
}

function* texts(value: unknown, path: Path): Generator<readonly [Path, string]> {
  if (typeof value === 'string') yield [path, value]
  else if (Array.isArray(value)) {
    for (const [index, one] of value.entries()) yield* texts(one, [...path, index])
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, one] of Object.entries(value)) yield* texts(one, [...path, key])
  }
}
