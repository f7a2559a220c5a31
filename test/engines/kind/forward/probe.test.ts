import { describe, expect, test } from 'vitest'
import { greetingFor } from '../../../../src/engines/kind/forward/probe.js'
import type { Pod } from '../../../../src/engines/kind/pods.js'

function withProbe(readinessProbe: object, ports: object[] = []): Pod {
  const containers = [{ name: 'web', image: 'x', ports, readinessProbe }]
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec: { containers } }
}

const text = (pod: Pod | undefined, port: number): string | undefined =>
  greetingFor(pod, port)?.toString('latin1').split('\r\n')[0]

describe('what a port is asked', () => {
  test('what its own readiness probe asks', () => {
    expect(text(withProbe({ httpGet: { path: '/health', port: 8080 } }), 8080)).toBe('GET /health HTTP/1.1')
    const named = withProbe({ httpGet: { port: 'http' } }, [{ name: 'http', containerPort: 8080 }])
    expect(text(named, 8080)).toBe('GET / HTTP/1.1')
  })

  test('what databases understand before anybody logs in', () => {
    expect(text(undefined, 6379)).toBe('PING')
    expect(greetingFor(undefined, 5432)?.toString('hex')).toBe('0000000804d2162f')
  })

  test('nothing where the program is not known, speaks TLS, or the path would smuggle a line', () => {
    expect(greetingFor(withProbe({ tcpSocket: { port: 9000 } }), 9000)).toBeNull()
    expect(greetingFor(withProbe({ httpGet: { path: '/', port: 8080 } }), 9000)).toBeNull()
    expect(greetingFor(withProbe({ httpGet: { port: 8443, scheme: 'HTTPS' } }), 8443)).toBeNull()
    expect(greetingFor(withProbe({ httpGet: { path: '/\r\nX: y', port: 8080 } }), 8080)).toBeNull()
  })
})
