import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { formatPosition } from '../../../../src/core/error.js'
import type { Problem, SourcePosition } from '../../../../src/core/error.js'

export interface Tree {
  readonly root: string
  path(name: string): string
  /** `base/api.yaml:3:5`. */
  place(at: SourcePosition | null): string
  /** `base/api.yaml:3:5 message (hint)`. */
  told(problems: readonly Problem[]): readonly string[]
}

/** Files in a folder of the test's own. */
export function tree(files: Readonly<Record<string, string>>): Tree {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'ds-src-')))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  const short = (text: string): string => text.replaceAll(`${root}/`, '')
  const place = (at: SourcePosition | null): string => (at === null ? '-' : short(formatPosition(at)))
  return {
    root,
    path: (name) => join(root, name),
    place,
    told: (problems) =>
      problems.map(
        ({ message, at, hint }) => `${place(at)} ${short(message)}${hint === null ? '' : ` (${hint})`}`,
      ),
  }
}

/** A FakeKubectl: prints `stdout`, or fails with `stderr`; notes its words and what it was told of a cluster. */
export function fakeKubectl(
  at: Tree,
  answer: { readonly stdout?: string; readonly stderr?: string },
): string {
  const file = at.path('fake-kubectl')
  writeFileSync(at.path('fake-stdout'), answer.stdout ?? '')
  writeFileSync(at.path('fake-stderr'), answer.stderr ?? '')
  const calls = at.path('fake-calls')
  const lines = [
    '#!/bin/sh',
    `echo "$* KUBECONFIG=$KUBECONFIG" >> '${calls}'`,
    `cat '${at.path('fake-stderr')}' >&2`,
    answer.stderr === undefined ? `exec cat '${at.path('fake-stdout')}'` : 'exit 1',
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  chmodSync(file, 0o755)
  return file
}
