import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLight } from '../../../../src/engines/kind/forward/light.js'
import type { Light } from '../../../../src/engines/kind/forward/light.js'

describe('the light of an address', () => {
  let ready: boolean
  let answer: string | null
  let probes: number
  let told: (boolean | null)[]
  let light: Light

  beforeEach(() => {
    vi.useFakeTimers()
    ready = true
    answer = null
    probes = 0
    told = []
    light = createLight({
      ready: () => ready,
      probe: () => {
        probes++
        return Promise.resolve(answer)
      },
      changed: () => told.push(light.state().ok),
      now: Date.now,
    })
  })
  afterEach(() => {
    light.close()
    vi.useRealTimers()
  })

  const after = async (ms: number): Promise<void> => {
    await vi.advanceTimersByTimeAsync(ms)
  }
  const green = async (): Promise<void> => {
    light.podsChanged()
    await after(0)
    expect(light.state().ok).toBe(true)
  }

  test('green and left alone, nothing is asked for a day', async () => {
    await green()
    await after(24 * 3600_000)
    expect(probes).toBe(1)
  })

  test('red, it asks once a minute until an answer comes, and no more then', async () => {
    answer = 'connection refused'
    light.podsChanged()
    await after(0)
    expect(light.state()).toMatchObject({ ok: false, cause: 'connection refused' })
    await after(180_000)
    expect(probes).toBe(4)
    answer = null
    await after(60_000)
    expect(light.state()).toMatchObject({ ok: true, cause: null })
    await after(3600_000)
    expect([probes, told]).toEqual([5, [false, true]])
  })

  test('requests without an answer make it ask, at most once a minute', async () => {
    await green()
    for (let second = 0; second < 150; second++) {
      light.doubted()
      await after(1000)
    }
    expect(probes).toBe(3)
  })

  test('a late answer of a slow program is no fault', async () => {
    await green()
    await after(60_000)
    light.doubted()
    await after(1000)
    expect(told).toEqual([true])
  })

  test('a connection that broke in the middle is not believed: it asks', async () => {
    await green()
    light.broke()
    await after(1000)
    expect([probes, told]).toEqual([2, [true]])
    answer = 'connection refused'
    light.broke()
    await after(1000)
    expect([probes, told]).toEqual([3, [true, false]])
  })

  test('traffic that gets an answer makes it green without a question', async () => {
    answer = 'no answer within 5 s'
    light.podsChanged()
    await after(0)
    light.proved()
    expect(light.state()).toMatchObject({ ok: true })
    await after(3600_000)
    expect(probes).toBe(1)
  })

  test('pods that come and go all the time do not make it ask all the time', async () => {
    answer = 'connection refused'
    for (let change = 0; change < 100; change++) {
      light.podsChanged()
      await after(50)
    }
    expect(probes).toBeLessThanOrEqual(6)
  })

  test('without a ready pod it is red and asks nothing', async () => {
    await green()
    ready = false
    light.podsChanged()
    expect(light.state()).toMatchObject({ ok: false, cause: 'no pod is ready' })
    light.revalidate()
    await after(3600_000)
    expect(probes).toBe(1)
  })

  test('before the first pod is ready it is neither', async () => {
    ready = false
    light.podsChanged()
    await after(3600_000)
    expect([light.state().ok, told, probes]).toEqual([null, [], 0])
  })

  test('since is when it became what it is, also where only the cause changed', async () => {
    answer = 'one'
    light.podsChanged()
    await after(0)
    const { since } = light.state()
    answer = 'two'
    await after(60_000)
    expect(light.state()).toEqual({ ok: false, since, cause: 'two' })
  })

  test('closed, it does nothing', async () => {
    answer = 'connection refused'
    light.podsChanged()
    await after(0)
    light.close()
    light.podsChanged()
    light.doubted()
    await after(3600_000)
    expect(probes).toBe(1)
  })
})
