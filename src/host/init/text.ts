import type { FoundParts, FoundService } from './found.js'

export interface TextRequest {
  readonly parts: FoundParts
  /** The name that the folder gives. */
  readonly folderName: string
  /** Where editors find the JSON Schema. */
  readonly schema: string
}

const USUAL = /^(docker-)?compose\.ya?ml$/

/** A devstack.yaml with what was found; what was only guessed is a comment. */
export function configText({ parts, folderName, schema }: TextRequest): string {
  return [
    [`# yaml-language-server: $schema=${schema}`],
    nameLines(parts, folderName),
    composeLines(parts),
    serviceLines(parts),
    kindLines(parts),
    productionLines(parts),
    [
      '# Where images come from: auto (a registry where one answers, else built here), registry, local.',
      '# images: { source: auto }',
    ],
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n')
}

function nameLines({ compose, composeName }: FoundParts, folderName: string): readonly string[] {
  if (composeName !== null) return [`# The project's name is the Compose file's: ${oneLine(composeName)}`]
  // In a folder of its own the Compose file would give the project that folder's name.
  if (compose?.includes('/') === true && folderName !== '') return [`name: ${folderName}`]
  return [
    '# The project is named after its folder, as Compose does.',
    `# name: ${folderName === '' ? 'shop' : folderName}`,
  ]
}

function composeLines({ compose, otherCompose }: FoundParts): readonly string[] {
  if (compose === null) {
    return ['# No Compose file was found: name it here.', '# compose: [compose.yaml]']
  }
  const others = otherCompose.length === 0 ? [] : [`# Also there: ${otherCompose.map(oneLine).join(', ')}`]
  if (USUAL.test(compose)) {
    return [
      '# Beside this file, as Compose finds it, with its override.',
      `# compose: [${scalar(compose)}]`,
      ...others,
    ]
  }
  return [`compose: [${scalar(compose)}]`, ...others]
}

function serviceLines({ services, applications }: FoundParts): readonly string[] {
  const known = services.filter(({ preset }) => preset !== null)
  const apart = applications.map(
    ({ folder, preset, reason }) =>
      `# ${oneLine(folder)} looks like ${preset} (${reason}), but no service is built from it.`,
  )
  if (known.length === 0) {
    return [
      ...apart,
      '# services:',
      '#   api: { preset: flask, watch: [{ action: sync, path: ./api, target: /app }] }',
    ]
  }
  return ['services:', ...known.map(serviceLine), ...apart]
}

function serviceLine({ name, preset, reason, watched }: FoundService): string {
  const rules = watched ? '; its watch rules are in the Compose file' : ''
  return `  ${scalar(name)}: { preset: ${preset ?? ''} } # ${oneLine(reason ?? '')}${rules}`
}

function kindLines({ kindCluster, manifests }: FoundParts): readonly string[] {
  const local = manifests.find((folder) => !isProduction(folder))
  if (kindCluster === null && local === undefined) return []
  const keys = [
    ...(kindCluster === null ? [] : [`cluster: ${scalar(kindCluster)}`]),
    ...(local === undefined ? [] : [`manifests: ${scalar(local)}`]),
  ]
  return [`kind: { ${keys.join(', ')} }`]
}

function productionLines({ manifests }: FoundParts): readonly string[] {
  const [found] = manifests.filter(isProduction)
  const about = '# What runs in production, to compare with.'
  if (found === undefined) return [about, '# production:', '#   aws: { manifests: deploy/production }']
  return [about, 'production:', `  ${nameOf(found)}: { manifests: ${scalar(found)} }`]
}

function isProduction(folder: string): boolean {
  return /(^|[/_-])(prod|production|live)([/_-]|$)/i.test(folder)
}

function nameOf(folder: string): string {
  const last = folder.slice(folder.lastIndexOf('/') + 1)
  return /^[A-Za-z][\w-]*$/.test(last) ? last : 'production'
}

/** A text as YAML on one line: plain where that is beyond doubt, else quoted as JSON is. */
function scalar(text: string): string {
  const plain = /^[A-Za-z_][\w./-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text)
  if (plain) return text
  const escape = (letter: string) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(text).replaceAll(/[\x7F-\x9F\u2028\u2029\uFEFF]/g, escape)
}

/** Names of files may have line breaks; comments must not. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/[\0-\x1F\x7F-\x9F\u2028\u2029]/g, '?')
}
