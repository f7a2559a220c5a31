import { describe, expect, test } from 'vitest'
import { readDockerfileBases, withoutSyntax } from '../../../src/engines/images/dockerfile.js'
import type { DockerfileOptions } from '../../../src/engines/images/dockerfile.js'

function bases(text: string, options: DockerfileOptions = {}): string[] {
  return readDockerfileBases(text, options).bases.map(({ ref, line }) => `${ref}:${String(line)}`)
}

describe('readDockerfileBases', () => {
  test('FROM, COPY --from and RUN --mount=from', () => {
    const text = `
FROM --platform=$BUILDPLATFORM node:24 AS build
RUN --mount=type=cache,target=/c --mount=type=bind,from=tools:1,target=/t make
FROM nginx:1.26
COPY --chown=1:1 --from=build /out /usr/share/nginx/html
COPY --from=ghcr.io/x/uv:1 /uv /bin/
`
    expect(bases(text)).toEqual(['node:24:2', 'tools:1:3', 'nginx:1.26:4', 'ghcr.io/x/uv:1:6'])
  })

  test('arguments: defaults, given values, fallbacks, a default that uses another', () => {
    const text = `ARG VERSION=3.13
ARG VARIANT="-slim"
ARG FULL=\${VERSION}\${VARIANT}
ARG OTHER
FROM python:$FULL AS a
FROM \${OTHER:-redis}:8
COPY --from=a / /`
    expect(bases(text)).toEqual(['python:3.13-slim:5', 'redis:8:6'])
    const args = { VERSION: '3.12', OTHER: 'valkey', UNKNOWN: 'x' }
    expect(bases(text, { args })).toEqual(['python:3.12-slim:5', 'valkey:8:6'])
  })

  test('a given value of an argument that is not declared counts for nothing', () => {
    expect(bases('FROM x:${TAG:-1}', { args: { TAG: '2' } })).toEqual(['x:1:1'])
  })

  test('only what the target needs', () => {
    const text = `FROM a:1 AS base
FROM base AS dev
RUN x
FROM b:1 AS unused
FROM base AS prod
COPY --from=1 / /`
    expect(bases(text)).toEqual(['a:1:1'])
    expect(bases(text, { target: 'unused' })).toEqual(['b:1:4'])
    expect(bases(text, { target: 'DEV' })).toEqual(['a:1:1'])
  })

  test('a stage may have the name of an image; only earlier stages count', () => {
    expect(bases('FROM python:3.13 AS python\nFROM python')).toEqual(['python:3.13:1'])
  })

  test('here-documents, comments and continued lines hold no instructions of their own', () => {
    const text = `FROM a:1
RUN <<EOF
FROM wrong:1
EOF
RUN one \\
# FROM wrong:2
  && cat <<< FROM

COPY <<-'A' <<B /x/
FROM wrong:4
	A
FROM wrong:5
B
COPY --from=b:1 / /`
    expect(bases(text)).toEqual(['a:1:1', 'b:1:14'])
  })

  test('another escape character', () => {
    expect(bases('# escape=`\nFROM a:1\nCOPY `\n  --from=b:1 `\n  / /')).toEqual(['a:1:2', 'b:1:3'])
  })

  test('scratch and given contexts are no images', () => {
    expect(
      bases('FROM scratch\nCOPY --from=shared / /\nCOPY --from=Own / /', { contexts: ['shared', 'own'] }),
    ).toEqual([])
  })
})

describe('the syntax line', () => {
  const text = '# escape=`\n# syntax=docker/dockerfile:1\nFROM a:1\n'

  test('is told', () => {
    expect(readDockerfileBases(text).syntax).toEqual({ ref: 'docker/dockerfile:1', line: 2 })
    expect(readDockerfileBases('FROM a:1\n# syntax=x').syntax).toBeNull()
  })

  test('can be taken out without moving a line', () => {
    expect(withoutSyntax(text)).toBe('# escape=`\n#\nFROM a:1\n')
    expect(withoutSyntax('FROM a:1')).toBe('FROM a:1')
  })
})
