import { mkdir, readdir, readFile } from 'node:fs/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import { compileRules, watchedPart, type Rules } from '../../../src/host/watch/rules.js'
import { createWorld, type World } from './world.js'

let world: World
beforeEach(async () => {
  world = await createWorld()
})

const build = () => ({
  context: world.folder,
  dockerfile: world.at('Dockerfile'),
  target: null,
  args: {},
  hash: '',
})

const inSource = (path: string): string => world.at(path === '' ? 'src' : `src/${path}`)

/** Which of the paths (in `src`) the rules cover, and which folders they enter. */
function covered(rules: Rules, paths: readonly string[]): readonly string[] {
  return paths.filter((path) => rules.covers(inSource(path)))
}
const entered = (rules: Rules, paths: readonly string[]): readonly string[] =>
  paths.filter((path) => rules.enters(inSource(path)))

const ignoring = (...ignore: readonly string[]): Rules =>
  compileRules(watchedPart(world.service([{ ignore }])))
const including = (...include: readonly string[]): Rules =>
  compileRules(watchedPart(world.service([{ include }])))

describe('the patterns of a rule', () => {
  it('are relative to its path, as in .dockerignore', () => {
    expect(covered(ignoring('*.log', 'deep'), ['a.log', 'deep/x', 'deeper/x', 'more/a.log', 'a.py'])).toEqual(
      ['deeper/x', 'more/a.log', 'a.py'],
    )
    expect(covered(ignoring('**/*.log'), ['a.log', 'more/a.log', 'a.py'])).toEqual(['a.py'])
  })

  it('tell upper case from lower', () => {
    expect(covered(ignoring('README'), ['README', 'readme'])).toEqual(['readme'])
  })

  it('let the last one that matches decide', () => {
    const rules = ignoring('data', '!data/keep', 'data/keep/*.tmp')
    expect(covered(rules, ['data/x', 'data/keep/a', 'data/keep/a.tmp', 'data/other/keep'])).toEqual([
      'data/keep/a',
    ])
  })

  it('are passed over where they cannot be compiled, or are a comment', () => {
    expect(covered(ignoring('[', '# x', '!', '', 'b'), ['a', 'b'])).toEqual(['a'])
  })

  it('let through what is included only, and nothing of that which is ignored', () => {
    expect(covered(including('*.py', 'static'), ['a.py', 'deep/b.py', 'static/x.css', 'a.txt'])).toEqual([
      'a.py',
      'static/x.css',
    ])
    const both = compileRules(watchedPart(world.service([{ include: ['**/*.py'], ignore: ['tests'] }])))
    expect(covered(both, ['deep/a.py', 'tests/a.py'])).toEqual(['deep/a.py'])
  })
})

describe('a folder that cannot hold covered files', () => {
  it('is not entered', () => {
    expect(entered(ignoring('node_modules'), ['', 'deep', 'node_modules', 'node_modules/a'])).toEqual([
      '',
      'deep',
    ])
    expect(entered(including('static/css'), ['', 'static', 'static/css', 'static/css/x', 'deep'])).toEqual([
      '',
      'static',
      'static/css',
      'static/css/x',
    ])
  })

  it('is entered on the way to an exception', () => {
    const rules = ignoring('*', '!keep/this', '!glob/*/x')
    expect(entered(rules, ['keep', 'keep/this', 'keep/that', 'glob', 'glob/a', 'glob/a/y', 'other'])).toEqual(
      ['keep', 'keep/this', 'glob', 'glob/a'],
    )
    expect(entered(ignoring('node_modules', '!**/README'), ['node_modules/a/b'])).toEqual([
      'node_modules/a/b',
    ])
  })

  it('is not entered where what comes after the exceptions leaves it out', () => {
    expect(entered(ignoring('*', '!app', '**/node_modules'), ['app', 'app/node_modules'])).toEqual(['app'])
  })
})

describe('the closest rule', () => {
  it('decides alone, with its own patterns', () => {
    const rules = compileRules(
      watchedPart(
        world.service([
          { ignore: ['deep'] },
          { path: world.at('src/deep/own'), target: '/own', ignore: ['x'] },
          { path: world.at('src/deep/file'), action: 'rebuild', target: null },
        ]),
      ),
    )
    expect(covered(rules, ['deep/a', 'deep/own/a', 'deep/own/x', 'deep/file'])).toEqual([
      'deep/own/a',
      'deep/file',
    ])
    expect(rules.target(world.at('src/deep/own/a'))).toBe('/own/a')
  })
})

describe('the ignore file of the build context', () => {
  it('holds for every rule, relative to the context', async () => {
    await world.write({ '.dockerignore': 'src/deep\n**/*.md\n' })
    const rules = compileRules(watchedPart(world.service([{}], { build: build() })))
    expect(covered(rules, ['a.py', 'deep/b.py', 'README.md'])).toEqual(['a.py'])
  })

  it('is replaced by the Dockerfile’s own', async () => {
    await world.write({ '.dockerignore': 'src/deep', 'Dockerfile.dockerignore': '\uFEFFsrc/a.py\r\n' })
    const rules = compileRules(watchedPart(world.service([{}], { build: build() })))
    expect(covered(rules, ['a.py', 'deep/b.py'])).toEqual(['deep/b.py'])
  })

  it('does not hold for a file that a rule names', async () => {
    await world.write({ '.dockerignore': '*' })
    const named = { path: world.at('src/a.py'), action: 'rebuild', target: null } as const
    const rules = compileRules(watchedPart(world.service([{}, named], { build: build() })))
    expect(covered(rules, ['a.py', 'deep/b.py'])).toEqual(['a.py'])
  })
})

describe('files that are nobody’s source', () => {
  it("are left out: editors' own, and git's folder", () => {
    const names = [
      '.a.py.swp',
      'a.py~',
      '4913',
      '.#a.py',
      '#a.py#',
      'a.py___jb_tmp___',
      '.git',
      '.git/HEAD',
      'deep/.git/x',
    ]
    expect(covered(ignoring(), [...names, 'a.py', '.gitignore', '.github/x', '49130'])).toEqual([
      'a.py',
      '.gitignore',
      '.github/x',
      '49130',
    ])
    expect(entered(ignoring(), ['.git', 'deep/.git', '.github'])).toEqual(['.github'])
  })

  it('are not what .gitignore lists: what is generated may be wanted in the container', async () => {
    await world.write({ 'src/.gitignore': 'a.py\n' })
    expect(await world.targets(world.service([{}]))).toEqual([
      '/app/.gitignore',
      '/app/a.py',
      '/app/deep/b.py',
    ])
  })
})

describe('an ignored folder', () => {
  it('costs no watch, however much it holds', async () => {
    for (let index = 0; index < 300; index += 1)
      await mkdir(world.at(`src/node_modules/${String(index)}`), { recursive: true })
    const before = await inotifyWatches()
    const watching = await world.watch(world.service([{ ignore: ['node_modules'] }]))
    const cost = (await inotifyWatches()) - before
    // src, src/deep, and the folder that src lies in.
    expect(cost).toBe(3)
    await watching.end()
  })
})

/** How many files and folders this process watches. */
async function inotifyWatches(): Promise<number> {
  let count = 0
  for (const descriptor of await readdir('/proc/self/fdinfo')) {
    const text = await readFile(`/proc/self/fdinfo/${descriptor}`, 'utf8').catch(() => '')
    count += text.split('\n').filter((line) => line.startsWith('inotify wd:')).length
  }
  return count
}
