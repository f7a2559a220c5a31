/** Something for each file, kept folder by folder: a name is shorter than a path, and a folder is looked up once. */
export class FileTable<T> {
  readonly folders = new Map<string, Map<string, T>>()

  get(path: string): T | undefined {
    const [folder, name] = split(path)
    return this.folders.get(folder)?.get(name)
  }

  set(path: string, value: T): void {
    const [folder, name] = split(path)
    this.folder(folder).set(name, value)
  }

  delete(path: string): void {
    const [folder, name] = split(path)
    const names = this.folders.get(folder)
    if (names === undefined) return
    names.delete(name)
    if (names.size === 0) this.folders.delete(folder)
  }

  /** What is known of the folder's files; made where nothing is. */
  folder(folder: string): Map<string, T> {
    const known = this.folders.get(folder)
    if (known !== undefined) return known
    const made = new Map<string, T>()
    this.folders.set(folder, made)
    return made
  }
}

function split(path: string): readonly [string, string] {
  const slash = path.lastIndexOf('/')
  return [slash === 0 ? '/' : path.slice(0, slash), path.slice(slash + 1)]
}

export function join(folder: string, name: string): string {
  return folder === '/' ? `/${name}` : `${folder}/${name}`
}
