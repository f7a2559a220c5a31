import { expect, test } from 'vitest'

interface Place {
  readonly message: string
  readonly file: string | null
  readonly line: number | null
  readonly output: readonly string[]
}

// It runs beside Vite as it is, so it is no TypeScript.
const file = new URL('../../../src/presets/react/vite-error.mjs', import.meta.url).href
const { placeOf } = (await import(file)) as { readonly placeOf: (error: object) => Place }

test.each([
  ['colours', '\u001B[31mError: no such thing\u001B[39m'],
  ['other colours', '\u001B[38:5:1mError: no such thing\u001B[0m'],
  ['a cleared line', '\u001B[2KError: no such thing'],
  ['a link', 'Error: \u001B]8;;https://vite.dev\u0007no such thing\u001B]8;;\u0007'],
])('an error is shown without %s', (_name, message) => {
  expect(placeOf({ message, frame: message })).toMatchObject({
    message: 'no such thing',
    output: ['Error: no such thing', 'Error: no such thing'],
  })
})
