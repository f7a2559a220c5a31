import { render, useInput, useIsScreenReaderEnabled, usePaste } from 'ink'
import type { Instance, Key, RenderOptions } from 'ink'
import { useSyncExternalStore } from 'react'
import type { Controller } from './controller.js'
import { Screen } from './screen.js'
import { Spoken, spokenView } from './spoken.js'

/** Takes the terminal over. */
export function mount(controller: Controller, options: RenderOptions): Instance {
  return render(<App controller={controller} />, options)
}

/** The root: keys in, frames out. */
function App({ controller }: { readonly controller: Controller }) {
  const view = useSyncExternalStore(controller.subscribe, controller.getView)
  const spoken = useIsScreenReaderEnabled()
  useInput((input, key) => {
    for (const name of keyNames(input, key)) controller.key(name)
  })
  // Taken so that pasted text never acts as keys.
  usePaste(() => undefined)
  if (spoken) return <Spoken view={spokenView(controller.getState(), view, controller.selected())} />
  return <Screen view={view} />
}

const SPECIAL: readonly (readonly [keyof Key, string])[] = [
  ['upArrow', 'up'],
  ['downArrow', 'down'],
  ['leftArrow', 'left'],
  ['rightArrow', 'right'],
  ['pageUp', 'pageup'],
  ['pageDown', 'pagedown'],
  ['home', 'home'],
  ['end', 'end'],
  ['return', 'enter'],
  ['escape', 'escape'],
  ['tab', 'tab'],
]

/** The names that the keymap uses; several where keys arrived faster than they were read. */
export function keyNames(input: string, key: Key): readonly string[] {
  if (key.eventType === 'release') return []
  const special = SPECIAL.find(([flag]) => key[flag] === true)
  if (special !== undefined) return [special[1]]
  if (key.ctrl) return [`ctrl-${input}`]
  if (key.meta) return []
  return Array.from(input, (character) => (character === ' ' ? 'space' : character))
}
