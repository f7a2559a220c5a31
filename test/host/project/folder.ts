import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** A folder with files, gone at the end of its scope. */
export class Folder implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async with(files: Readonly<Record<string, string>> = {}): Promise<Folder> {
    const folder = new Folder(await realpath(await mkdtemp(join(tmpdir(), 'devstack-test-'))))
    await folder.write(files)
    return folder
  }

  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(this.at(name)), { recursive: true })
      await writeFile(this.at(name), text)
    }
  }

  /** A pipe with nobody at its other end. */
  async pipe(name: string): Promise<void> {
    await promisify(execFile)('mkfifo', ['--', this.at(name)])
  }

  at(...names: readonly string[]): string {
    return join(this.path, ...names)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}
