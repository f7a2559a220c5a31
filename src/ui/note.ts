/** One line before its prefix: whom it is about (null: the stack), what it says, how it looks. */
export interface Note {
  readonly service: string | null
  readonly text: string
  readonly look: 'plain' | 'log' | 'good' | 'bad' | 'warn' | 'quiet'
}

/** Of the stack. */
export function stack(text: string, look: Note['look'] = 'plain'): Note {
  return { service: null, text, look }
}

/** Of one service. */
export function of(service: string, text: string, look: Note['look'] = 'plain'): Note {
  return { service, text, look }
}
