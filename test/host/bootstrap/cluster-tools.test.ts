import { chmodSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { DevstackError } from '../../../src/core/error.js'
import { debian12, parts, World } from './world.js'

const failure = (promise: Promise<unknown>): Promise<DevstackError> =>
  promise.then(
    () => {
      throw new Error('it should have failed')
    },
    (error: unknown) => error as DevstackError,
  )

const KIND = '0.27.0'
const KUBECTL = '1.32.3'

/** A program of the fake machine that says its version as the real one does. */
function putProgram(world: World, name: 'kind' | 'kubectl', version: string): void {
  const says = {
    kind: `kind v${version} go1.24.4 linux/amd64`,
    kubectl: `{"clientVersion":{"gitVersion": "v${version}"}}`,
  }
  const file = join(world.folder, 'bin', name)
  writeFileSync(file, `#!/bin/sh\ncat <<'END'\n${says[name]}\nEND\n`)
  chmodSync(file, 0o755)
}

/** A machine with its engine, whose apt brings kind and kubectl into `/usr/bin` (here the only folder of the PATH). */
class ClusterWorld extends World {
  constructor() {
    super(parts)
    const apt = join(this.folder, 'bin/apt-get')
    renameSync(apt, `${apt}.fake`)
    const brings = `
case " $* " in *' -s '*) ;; *' install '*)
  case " $* " in *' kind/trixie'*|*' kind '*) cp '${this.folder}/kind' '${this.folder}/bin/kind' ;; esac
  case " $* " in *' kubernetes-client'*) cp '${this.folder}/kubectl' '${this.folder}/bin/kubectl' ;; esac
esac`
    writeFileSync(apt, `#!/bin/sh\n'${apt}.fake' "$@" || exit${brings}\n`)
    chmodSync(apt, 0o755)
    for (const [name, version] of [
      ['kind', KIND],
      ['kubectl', KUBECTL],
    ] as const) {
      putProgram(this, name, version)
      renameSync(join(this.folder, 'bin', name), join(this.folder, name))
    }
  }
}

const installs = (world: World) =>
  world.log().filter((line) => line.includes(' install ') && !line.includes(' -s '))

describe('a stack in a cluster', () => {
  it('gets kind and kubectl from a newer Debian, simulated first, once', async () => {
    using world = new ClusterWorld()
    const result = await world.bootstrap({ yes: true, needsCluster: true })
    expect(result.steps.at(-1)).toMatchObject({
      step: 'cluster tools',
      text: 'installing kind kubernetes-client from Debian trixie',
      done: true,
    })
    expect(world.log().filter((line) => line.startsWith('apt-get'))).toEqual([
      'apt-get -c PRIVATE update -o ...',
      'apt-get -s -c PRIVATE install -y --no-install-recommends --no-remove -o ... -- kind/trixie kubernetes-client/trixie',
      'apt-get -c PRIVATE install -y --no-install-recommends --no-remove -o ... -- kind/trixie kubernetes-client/trixie',
    ])
    const again = await world.bootstrap({ needsCluster: true })
    expect(again.steps.at(-1)).toMatchObject({ text: 'kind and kubectl are there', done: false })
    expect(installs(world)).toEqual([])
  })

  it('is no concern of a stack in Compose', async () => {
    using world = new ClusterWorld()
    const result = await world.bootstrap()
    expect(result.steps.map(({ step }) => step)).not.toContain('cluster tools')
    expect(installs(world)).toEqual([])
  })

  it('keeps a kubectl that is there and brings only what lacks', async () => {
    using world = new ClusterWorld()
    putProgram(world, 'kubectl', '1.29.1')
    await world.bootstrap({ yes: true, needsCluster: true })
    expect(installs(world)).toEqual([
      'apt-get -c PRIVATE install -y --no-install-recommends --no-remove -o ... -- kind/trixie',
    ])
  })

  it('asks first, naming what it installs', async () => {
    using world = new ClusterWorld()
    const error = await failure(world.bootstrap({ answer: false, needsCluster: true }))
    expect(error).toMatchObject({ code: 'CONSENT_NEEDED', why: 'you said no' })
    expect(world.questions).toEqual([
      'kind is not installed; kubectl is not installed: devstack installs kind, kubernetes-client from Debian trixie: go on?',
    ])
    expect(installs(world)).toEqual([])
  })

  it('is refused where a package would go for it', async () => {
    using world = new ClusterWorld()
    world.simulate('Remv kubectl [1.31.0-1]\nInst kubernetes-client (1.32.3 Debian:13.1/stable [amd64])')
    const error = await failure(world.bootstrap({ yes: true, needsCluster: true }))
    expect(error.why).toContain('it would remove kubectl')
    expect(error.hint).toBe('install kind 0.27 and kubectl 1.27 or newer yourself')
    expect(installs(world)).toEqual([])
  })

  it('says where an old kind is that no package would replace', async () => {
    using world = new ClusterWorld()
    putProgram(world, 'kind', '0.20.0')
    const error = await failure(world.bootstrap({ yes: true, needsCluster: true }))
    expect(error).toMatchObject({ code: 'ENGINE_TOO_OLD' })
    expect(error.message).toBe(`kind 0.20.0 (${join(world.folder, 'bin/kind')}) is older than 0.27`)
    expect(error.hint).toContain(`take ${join(world.folder, 'bin/kind')} away`)
  })

  it('says what to install where there is no apt', async () => {
    using world = new ClusterWorld()
    await world.bootstrap()
    const machine = { ...debian12, platform: 'darwin' as const }
    const error = await failure(world.bootstrap({ needsCluster: true, machine }))
    expect(error).toMatchObject({ code: 'ENGINE_NOT_INSTALLED', why: 'this is macOS' })
  })
})
