import { homedir, hostname, userInfo } from 'node:os'
import type { Check, Remedy } from './check.js'
import type { DoctorReport } from './doctor.js'

const signs = { pass: '✓', warning: '!', fail: '✗' } as const

/** What must not be seen in a bug report. */
export interface PrivateWords {
  readonly home: string
  readonly user: string
  readonly host: string
}

/** This machine's. */
function privateWords(): PrivateWords {
  return { home: homedir(), user: userInfo().username, host: hostname() }
}

/** For people: what is wrong and how to mend it, and one line of sums; with `all`, every check. */
export function formatDoctor(report: DoctorReport, options: { readonly all?: boolean } = {}): string {
  const shown = report.checks.filter(({ status }) => options.all === true || status !== 'pass')
  const { pass, warning, fail } = report.summary
  const sums = `${String(pass)} passed, ${String(warning)} to look at, ${String(fail)} failed`
  return [...shown.flatMap(formatCheck), sums].join('\n')
}

function formatCheck(check: Check): readonly string[] {
  const lines = [`${signs[check.status]} ${check.category}: ${check.message}`]
  if (check.status === 'pass') return lines
  if (check.status === 'fail') lines.push(...(check.details ?? []).map((line) => `    ${line}`))
  if (check.fix !== undefined) lines.push(...formatRemedy(check.fix))
  if (check.link !== undefined) lines.push(`  see: ${check.link}`)
  return lines
}

function formatRemedy({ text, commands }: Remedy): readonly string[] {
  return [`  try: ${text}`, ...commands.map((argv) => `    ${argv.join(' ')}`)]
}

/** For a bug report: everything, as a block to paste, with private data taken out. */
export function formatPaste(report: DoctorReport, words: PrivateWords = privateWords()): string {
  const checks = report.checks.flatMap(({ category, name, status, message, details = [] }) => [
    `${status.padEnd(7)} ${category}/${name}: ${message}`,
    ...details.map((line) => `          ${line}`),
  ])
  const text = [
    `devstack ${report.version}, ${process.platform} ${process.arch}, Node ${process.versions.node}`,
    ...checks,
  ].join('\n')
  return `<!-- ${report.schema}; names and secrets were taken out -->\n\`\`\`\n${strip(text, words)}\n\`\`\``
}

/** Takes the home folder, the user's and the machine's name, and whatever looks like a secret out of a text. */
export function strip(text: string, { home, user, host }: PrivateWords): string {
  const named = (word: string, by: string) => (input: string) =>
    word.length < 2 || word === 'root' || word === 'localhost'
      ? input
      : input.replaceAll(new RegExp(`(?<![\\w.-])${escapeWord(word)}(?![\\w-])`, 'g'), by)
  const steps: readonly ((input: string) => string)[] = [
    (input) => (home.length > 1 ? input.replaceAll(home, '~') : input),
    named(user, 'USER'),
    named(host, 'HOST'),
    // user:password@ in addresses
    (input) => input.replaceAll(/(\w+:\/\/)[^/\s@]+@/g, '$1***@'),
    (input) =>
      input.replaceAll(
        /\b([\w-]*(?:token|secret|passw(?:or)?d|api_?key|authorization)[\w-]*)(\s*[=:]\s*)(?:bearer\s+)?\S+/gi,
        '$1$2***',
      ),
    (input) => input.replaceAll(/\b(?:gh[pousr]_|github_pat_|glpat-|npm_|xox[abp]-|AKIA)[\w-]{10,}/g, '***'),
    // Long runs of letters and digits are keys more often than words; a digest is none.
    (input) => input.replaceAll(/(?<!sha256:)\b(?=\w*\d)(?=\w*[A-Za-z])\w{32,}\b/g, '***'),
  ]
  return steps.reduce((value, step) => step(value), text)
}

const escapeWord = (word: string): string => word.replaceAll(/[\\^$.*+?()[\]{}|-]/g, '\\$&')
