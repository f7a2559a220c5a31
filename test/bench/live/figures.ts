import { figure, report, type Figure } from '../support.ts'

/** How many saves a benchmark makes: 30, or DEVSTACK_SAMPLES, to try one quickly. */
export function samplesOr(usual: number): number {
  const wanted = process.env['DEVSTACK_SAMPLES']
  return wanted === undefined ? usual : Math.min(usual, Number(wanted))
}

/** The value that `share` of the samples do not exceed. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

/** Medians and 95th percentiles of the sides of a comparison, side by side. */
export function sideBySide(
  what: string,
  sides: Readonly<Record<string, readonly number[]>>,
): Record<string, Figure | number> {
  const rows: Record<string, Figure | number> = {}
  for (const [side, samples] of Object.entries(sides)) {
    if (samples.length === 0) continue
    rows[`${what}: ${side}, ms`] = figure(samples)
    rows[`${what}: ${side}, 95 of 100, ms`] = quantile(samples, 0.95)
  }
  return rows
}

/** A row of samples; none where there are none. */
export function row(label: string, samples: readonly number[]): Record<string, Figure> {
  return samples.length === 0 ? {} : { [label]: figure(samples) }
}

/** Resolves at a time of the monotonic clock; at once where that is past. */
export async function until(at: number): Promise<void> {
  const left = at - Number(process.hrtime.bigint()) / 1e6
  if (left > 0) await new Promise((resolve) => setTimeout(resolve, left))
}

export { report }
