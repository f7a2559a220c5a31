/** Where lines go: stdout, or a stream in tests. */
export type LineStream = Pick<NodeJS.WritableStream, 'write' | 'once' | 'on' | 'removeListener'>

/** A renderer that only appends. */
export interface Renderer {
  /** Takes no more Events, and resolves when all that was taken is written. */
  close(): Promise<void>
}

/** Writes lines and waits where the reader is slow; what waits is kept in order and its size is known. */
export class LineWriter {
  private readonly queue: string[] = []
  private blocked = false
  private gone = false
  private waiting: (() => void)[] = []
  /** Characters that wait for a slow reader. */
  pending = 0

  constructor(private readonly stream: LineStream) {
    stream.on('error', this.lost)
  }

  write(line: string): void {
    if (this.gone) return
    if (this.blocked) {
      this.queue.push(line)
      this.pending += line.length
    } else {
      this.push(line)
    }
  }

  /** Resolves when nothing waits any more, or the reader is gone. */
  async flush(): Promise<void> {
    if (!this.blocked || this.gone) return
    await new Promise<void>((resolve) => this.waiting.push(resolve))
  }

  private push(line: string): void {
    if (this.stream.write(`${line}\n`)) return
    this.blocked = true
    this.stream.once('drain', this.drained)
  }

  private readonly drained = (): void => {
    this.blocked = false
    let sent = 0
    while (sent < this.queue.length && !this.isBlocked()) {
      const line = this.queue[sent] ?? ''
      sent += 1
      this.pending -= line.length
      this.push(line)
    }
    this.queue.splice(0, sent)
    if (!this.isBlocked()) this.settle()
  }

  /** A method, because the compiler does not see that `push` may block. */
  private isBlocked(): boolean {
    return this.blocked
  }

  /** The reader has closed its end (`devstack up | head`): nothing more is written, and that is no error. */
  private readonly lost = (): void => {
    this.gone = true
    this.queue.length = 0
    this.pending = 0
    this.settle()
  }

  private settle(): void {
    for (const resolve of this.waiting.splice(0)) resolve()
  }
}
