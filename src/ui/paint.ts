import { styleText } from 'node:util'

/** Colours that every terminal has and that keep their meaning in light and dark themes. */
export type Ink = 'green' | 'yellow' | 'red' | 'cyan' | 'magenta' | 'blue' | 'dim' | 'bold'

/** Colours text for lines that are printed, or leaves it as it is. */
export type Paint = (ink: Ink, text: string) => string

const plain: Paint = (_ink, text) => text
const coloured: Paint = (ink, text) => styleText(ink, text, { validateStream: false })

/** The paint for `color`. */
export function paintFor(color: boolean): Paint {
  return color ? coloured : plain
}

const PREFIX_INKS: readonly Ink[] = ['cyan', 'magenta', 'green', 'blue', 'yellow']

/** The colour of the `index`-th service's name: the same in every line of a run. */
export function prefixInk(index: number): Ink {
  return PREFIX_INKS[index % PREFIX_INKS.length] ?? 'cyan'
}
