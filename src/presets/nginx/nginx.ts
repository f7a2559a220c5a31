import type { Preset, SourceView } from '../preset.js'

const IMAGE = /(^|\/)nginx([:@]|$)/

/** An nginx in front of the others: a changed configuration is tested, then reloaded. */
export const nginx: Preset = {
  name: 'nginx',
  detect,
  rules: ({ folder, target }) => [
    { action: 'sync', path: folder, target, ignore: ['Dockerfile', '.dockerignore', '.git/'] },
  ],
}

function detect({ files, texts, image }: SourceView): string | null {
  if (image !== null && IMAGE.test(image)) return `the image ${image}`
  const file = ['nginx.conf', 'default.conf'].find((name) =>
    /\b(http|server|events)\s*\{/.test(texts[name] ?? ''),
  )
  if (file !== undefined) return `an nginx configuration in ${file}`
  return files.includes('nginx.conf') ? 'nginx.conf' : null
}
