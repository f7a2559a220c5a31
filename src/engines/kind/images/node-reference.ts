import { parseReference } from '../../images/reference.js'

/** As the kubelet completes what a pod asks for: `docker.io/library/shop-api:ds-0123456789ab`. */
export function fullReference(reference: string): string {
  const { host, path, tag } = parseReference(reference)
  return `${host}/${path}:${tag ?? 'latest'}`
}
