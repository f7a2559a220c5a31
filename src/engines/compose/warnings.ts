import type { Problem } from '../../core/error.js'
import { servicesOf } from './model.js'
import type { ComposeModel } from './model.js'

const UNSET = /^The "([^"]+)" variable is not set/

/** What Compose warned about on stderr, each once. */
export function composeWarnings(stderr: string): readonly string[] {
  const found = stderr.split('\n').flatMap((line) => {
    const match = /level=warning msg="((?:[^"\\]|\\.)*)"/.exec(line)
    return match === null ? [] : [(match[1] ?? '').replaceAll(/\\(.)/g, '$1')]
  })
  return [...new Set(found)]
}

/** The variable that a warning calls unset, or null. */
export function unsetVariable(text: string): string | null {
  return UNSET.exec(text)?.[1] ?? null
}

/** A warning where its place is not known. */
export function plainWarning(text: string): Problem {
  const name = unsetVariable(text)
  if (name === null) return { message: text, hint: null, at: null }
  return {
    message: `the variable ${name} is not set: an empty text is used`,
    hint: `set it in .env or in the environment, or give a default: \${${name}:-value}`,
    at: null,
  }
}

/** What keeps two worktrees of one project apart only half: each is said, none is changed. */
export function worktreeWarnings(
  model: ComposeModel,
): readonly { readonly path: readonly string[]; readonly message: string }[] {
  const names = Object.entries(servicesOf(model)).flatMap(([service, { container_name: name }]) =>
    name === undefined
      ? []
      : [
          {
            path: ['services', service, 'container_name'],
            message: `${service} has the fixed container name "${name}": two worktrees cannot run it at once`,
          },
        ],
  )
  return [...names, ...fixedNames(model, 'volumes'), ...fixedNames(model, 'networks')]
}

function fixedNames(model: ComposeModel, kind: 'volumes' | 'networks') {
  return Object.entries(model[kind] ?? {}).flatMap(([key, value]) => {
    const name = value?.name ?? `${model.name}_${key}`
    if (value?.external !== true && name === `${model.name}_${key}`) return []
    const what = kind === 'volumes' ? 'volume' : 'network'
    const how = value?.external === true ? 'external' : 'of a fixed name'
    return [
      {
        path: [kind, key],
        message: `the ${what} "${name}" is ${how}: this worktree shares it with every other one`,
      },
    ]
  })
}
