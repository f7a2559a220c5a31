import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/** A certificate and its key, PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface Authority extends Certificate {
  readonly name: string
  readonly keyObject: KeyObject
}

// Node reads certificates and writes none: these few lines of DER are what a test needs of it.

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts)
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))
const TRUE = der(0x01, Uint8Array.of(0xff))

const OID = {
  ecdsaWithSha256: '2a8648ce3d040302',
  commonName: '550403',
  basicConstraints: '551d13',
  subjectAltName: '551d11',
} as const

const nameOf = (text: string): Buffer =>
  sequence(der(0x31, sequence(oid(OID.commonName), der(0x0c, Buffer.from(text)))))

const timeOf = (date: Date): Buffer =>
  der(0x17, Buffer.from(`${date.toISOString().replaceAll(/[-:T]/g, '').slice(2, 14)}Z`))

interface Request {
  readonly subject: string
  readonly issuer: string
  readonly issuerKey: KeyObject | null
  readonly extensions: Buffer
}

function issue({ subject, issuer, issuerKey, extensions }: Request): Certificate & { keyObject: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = sequence(oid(OID.ecdsaWithSha256))
  const day = 86_400_000
  const content = sequence(
    der(0xa0, der(0x02, Uint8Array.of(2))),
    der(0x02, Buffer.concat([Uint8Array.of(1), randomBytes(8)])),
    algorithm,
    nameOf(issuer),
    sequence(timeOf(new Date(Date.now() - day)), timeOf(new Date(Date.now() + day))),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extensions)),
  )
  const signature = sign('sha256', content, issuerKey ?? privateKey)
  const whole = sequence(content, algorithm, der(0x03, Uint8Array.of(0), signature))
  const lines = whole.toString('base64').replaceAll(/.{64}/g, '$&\n')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    keyObject: privateKey,
  }
}

/** An authority of its own. */
export function createAuthority(name: string): Authority {
  const extensions = sequence(oid(OID.basicConstraints), TRUE, der(0x04, sequence(TRUE)))
  const made = issue({ subject: name, issuer: name, issuerKey: null, extensions })
  return { ...made, name }
}

/** A certificate for 127.0.0.1 and for whoever presents it. */
export function createCertificate(authority: Authority, subject: string): Certificate {
  const loopback = der(0x87, Uint8Array.of(127, 0, 0, 1))
  const extensions = sequence(oid(OID.subjectAltName), der(0x04, sequence(loopback)))
  return issue({ subject, issuer: authority.name, issuerKey: authority.keyObject, extensions })
}
