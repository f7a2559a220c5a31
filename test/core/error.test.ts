import { describe, expect, it } from 'vitest'
import { DevstackError, exitCodeOf, formatError } from '../../src/core/error.js'

describe('formatError', () => {
  it('says what happened, why, and what to try', () => {
    const error = new DevstackError('PORT_TAKEN', 'port 5432 is taken', {
      cause: 'postgres (pid 812) listens on it',
      hint: 'stop it, or: devstack up --free-ports',
    })
    expect(formatError(error.toInfo())).toMatchInlineSnapshot(`
      "error: port 5432 is taken
        cause: postgres (pid 812) listens on it
        try: stop it, or: devstack up --free-ports"
    `)
  })

  it('lists every problem of a file at its place', () => {
    const problems = [
      {
        message: 'unknown key "imagee"',
        at: { file: 'compose.yaml', line: 3, column: 5 },
        hint: 'did you mean "image"?',
      },
      { message: 'port 99999 is no port', at: { file: 'compose.yaml', line: 9, column: 9 }, hint: null },
    ]
    expect(
      formatError(new DevstackError('CONFIG_INVALID', 'compose.yaml has 2 problems', { problems }).toInfo()),
    ).toMatchInlineSnapshot(`
        "error: compose.yaml has 2 problems
          compose.yaml:3:5: unknown key "imagee"
            did you mean "image"?
          compose.yaml:9:9: port 99999 is no port"
      `)
  })

  it('survives the socket: info and back', () => {
    const error = new DevstackError('TIMEOUT', 'late', {
      cause: 'slow',
      at: { file: 'a', line: 1, column: 2 },
    })
    expect(DevstackError.fromInfo(error.toInfo()).toInfo()).toEqual(error.toInfo())
  })

  it('gives each family its exit code', () => {
    expect([
      exitCodeOf('BUILD_FAILED'),
      exitCodeOf('USAGE'),
      exitCodeOf('PORT_TAKEN'),
      exitCodeOf('CANCELLED'),
    ]).toEqual([1, 2, 3, 130])
  })
})
