import { DevstackError } from '../core/error.js'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * `90s`, `5m`, `1h30m` in milliseconds; a bare number counts seconds.
 * @throws DevstackError USAGE
 */
export function parseDuration(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    throw new DevstackError('USAGE', `${text} is no duration`, { hint: 'write 90s, 5m or 1h30m' })
  return parts.reduce((sum, [, value = '0', unit = 's']) => sum + Number(value) * (UNITS[unit] ?? 0), 0)
}
