import { styleText } from 'node:util'

/** Colours that every terminal has and that keep their meaning in light and dark themes. */
export type Style = 'green' | 'yellow' | 'red' | 'cyan' | 'magenta' | 'blue' | 'dim' | 'bold'

/** Colours text for lines that are printed, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

const plain: Paint = (_style, text) => text
const coloured: Paint = (style, text) => styleText(style, text, { validateStream: false })

/** The paint for `color`. */
export function paintFor(color: boolean): Paint {
  return color ? coloured : plain
}

const PREFIX_STYLES: readonly Style[] = ['cyan', 'magenta', 'green', 'blue', 'yellow']

/** The colour of the `index`-th service's name: the same in every line of a run. */
export function prefixStyle(index: number): Style {
  return PREFIX_STYLES[index % PREFIX_STYLES.length] ?? 'cyan'
}
