import { describe, expect, test } from 'vitest'
import type { Progress } from '../../../../src/core/events.js'
import { estimateBuild, formatRemaining } from '../../../../src/engines/kind/node-image/estimate.js'
import type { BuildEstimate } from '../../../../src/engines/kind/node-image/estimate.js'

/** A build whose clock the test moves. */
class FakeBuild {
  seconds = 0
  readonly told: Progress[] = []
  readonly estimate: BuildEstimate

  constructor(processors = 2) {
    this.estimate = estimateBuild(
      processors,
      () => this.seconds * 1000,
      (progress) => {
        this.told.push(progress)
      },
    )
  }

  at(seconds: number, ...lines: readonly string[]): string {
    this.seconds = seconds
    for (const line of lines) this.estimate.line(line)
    this.estimate.tell()
    const { text = '', percent } = this.told.at(-1) ?? {}
    return `${String(percent)}% ${text}`
  }

  compile(count: number): readonly string[] {
    return Array.from({ length: count }, (_, index) => `k8s.io/kubernetes/pkg/v${String(index)}`)
  }
}

describe('the estimate', () => {
  test('begins with what was measured, scaled to the processors', () => {
    const two = new FakeBuild(2)
    two.estimate.base(null)
    expect(two.at(0)).toBe('0% installing the compiler, about 7 min left')
    const eight = new FakeBuild(8)
    eight.estimate.base(null)
    expect(eight.at(0)).toBe('0% installing the compiler, about 4 min left')
  })

  test('follows the packages that are compiled', () => {
    const build = new FakeBuild()
    build.estimate.base(null)
    build.at(12, 'devstack: fetching kubernetes')
    const before = build.at(20, 'devstack: compiling kubernetes 1000 of 1000')
    const half = build.at(140, ...build.compile(500))
    const nearly = build.at(255, ...build.compile(499))
    expect([before, half, nearly]).toEqual([
      '3% compiling Kubernetes, about 8 min left',
      '37% compiling Kubernetes, about 4 min left',
      '72% compiling Kubernetes, about 2 min left',
    ])
  })

  test('is longer on a machine that turns out slower', () => {
    const build = new FakeBuild()
    build.estimate.base(null)
    build.at(12, 'devstack: fetching kubernetes', 'devstack: compiling kubernetes 1000 of 1000')
    expect(build.at(500, ...build.compile(500))).toBe('37% compiling Kubernetes, about 13 min left')
  })

  test('counts only what an earlier build that was stopped has left', () => {
    const build = new FakeBuild()
    build.estimate.base(null)
    build.at(2, 'devstack: fetching kubernetes')
    expect(build.at(4, 'devstack: compiling kubernetes 100 of 1000')).toMatch(/about 2 min left$/)
  })

  test('spares what came out of the cache of the engine', () => {
    const build = new FakeBuild()
    build.estimate.base(null)
    expect(build.at(3, 'devstack: packing')).toMatch(/ packing the images inside, a few seconds left$/)
  })

  test('tells of what runs beside, when that is what is waited for', () => {
    const build = new FakeBuild()
    build.estimate.base(null)
    build.at(2, 'devstack: making the file system')
    expect(build.at(2, 'I: installing remaining packages inside the chroot...')).toContain('file system')
    build.at(3, 'devstack: fetching tools')
    expect(build.at(4, 'devstack: compiling tools 1 of 1')).toContain('compiling the tools')
    expect(build.at(5, 'devstack: compiled tools')).toContain('making the file system')
  })

  test('never goes back in its share, and never says that all is done', () => {
    const build = new FakeBuild()
    build.estimate.base({ text: '', step: 1, steps: 8, percent: 50, bytes: null, totalBytes: null })
    build.at(5)
    build.estimate.base(null)
    const modules = ['coredns', 'kubernetes', 'tools']
    for (const [index, module] of modules.entries()) {
      build.at(20 + index * 50, `devstack: fetching ${module}`)
      build.at(30 + index * 50, `devstack: compiling ${module} 10 of 10`)
      build.at(50 + index * 50, ...build.compile(10), `devstack: compiled ${module}`)
    }
    build.at(200, 'devstack: making the file system', 'devstack: made the file system')
    for (const word of ['packing', 'storing', 'stored']) build.at(210, `devstack: ${word}`)
    const percents = build.told.map(({ percent }) => percent ?? -1)
    expect(percents).toEqual(percents.toSorted((a, b) => a - b))
    expect(percents.at(-1)).toBeGreaterThan(95)
    expect(Math.max(...percents)).toBeLessThan(100)
  })

  test('says nothing twice', () => {
    const build = new FakeBuild()
    build.at(0)
    build.at(0)
    expect(build.told).toHaveLength(1)
  })
})

test('what is left is told as roughly as it is known', () => {
  expect([400, 100, 89, 41, 3].map((seconds) => formatRemaining(seconds))).toEqual([
    'about 7 min',
    'about 2 min',
    'about 90 s',
    'about 50 s',
    'a few seconds',
  ])
})
