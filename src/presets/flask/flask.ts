import { execOn, rebuildOn } from '../preset.js'
import type { Preset, SourceView } from '../preset.js'

/** `Flask`, `flask[async]>=3`, but not `flask-cors`. */
const REQUIREMENT = /^[ \t]*flask[ \t]*(\[[^\]\n]*\])?[ \t]*([=<>~!;@#].*)?\r?$/im
const IN_LIST = /["']flask[ \t]*(\[[^\]\n]*\])?[ \t]*([=<>~!;@][^"'\n]*)?["']/i
const IN_TABLE = /^[ \t]*["']?flask["']?[ \t]*=/im

/** Installed into the running container by pip itself; every other list needs its own tool, which the image may not have. */
const INSTALLED = 'requirements.txt'

const REBUILT = [
  'requirements.in',
  'requirements-dev.txt',
  'pyproject.toml',
  'uv.lock',
  'poetry.lock',
  'Pipfile',
  'Pipfile.lock',
  'setup.py',
  'Dockerfile',
]

/** A Python web application on Flask. */
export const flask: Preset = {
  name: 'flask',
  detect,
  rules: (place) => [
    {
      action: 'sync',
      path: place.folder,
      target: place.target,
      ignore: ['__pycache__/', '*.pyc', '.venv/', 'venv/', '.git/', '.pytest_cache/', INSTALLED, ...REBUILT],
    },
    ...execOn(place, [INSTALLED], ['pip', 'install', '--disable-pip-version-check', '-r', INSTALLED]),
    ...rebuildOn(place, REBUILT),
  ],
}

function detect({ texts }: SourceView): string | null {
  for (const name of ['requirements.txt', 'requirements.in']) {
    if (REQUIREMENT.test(texts[name] ?? '')) return `Flask in ${name}`
  }
  const project = texts['pyproject.toml'] ?? ''
  if (IN_LIST.test(project) || IN_TABLE.test(project)) return 'Flask in pyproject.toml'
  return IN_TABLE.test(texts['Pipfile'] ?? '') ? 'Flask in Pipfile' : null
}
