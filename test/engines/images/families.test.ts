import { expect, test } from 'vitest'
import { familyConflict, volumeFamilyLabels } from '../../../src/engines/images/families.js'
import { imageLabels } from '../../../src/engines/images/build.js'
import { fakeRecipe } from './fakes.js'

function built(name: string, major: string): { ref: string; labels: Readonly<Record<string, string>> } {
  return { ref: `devstack/${name}:a`, labels: imageLabels(fakeRecipe(name, { major })) }
}

function upstream(ref: string): { ref: string; labels: Readonly<Record<string, string>> } {
  return { ref, labels: {} }
}

test.each([
  ['elasticsearch of another family', built('elasticsearch', '8'), upstream('elasticsearch:8.11.1'), true],
  [
    'the other way round',
    upstream('docker.elastic.co/elasticsearch/elasticsearch:8.1.0'),
    built('elasticsearch', '8'),
    true,
  ],
  ['elasticsearch, the same', built('elasticsearch', '8'), built('elasticsearch', '8'), false],
  ['postgres of another family', built('postgres', '17'), upstream('postgres:17.2-bookworm'), false],
  ['postgres of another major', upstream('postgres:16'), built('postgres', '17'), true],
  ['a newer redis', upstream('redis:7'), built('redis', '8'), false],
  ['an older redis', built('redis', '8'), upstream('redis:7-alpine'), true],
  ['a version that nobody named', upstream('postgres'), built('postgres', '17'), false],
  ['two different programs', built('postgres', '17'), built('redis', '8'), false],
  ['a program that keeps no such data', upstream('nginx:1.26'), upstream('nginx:1.10'), false],
])('%s', (_, made, now, conflict) => {
  const error = familyConflict({ name: 'data', labels: volumeFamilyLabels(made) }, now)
  expect(error !== null).toBe(conflict)
})

test('a volume that does not say who made it', () => {
  expect(familyConflict({ name: 'data', labels: {} }, built('elasticsearch', '8'))).toBeNull()
})

test('asks a clear question', () => {
  const labels = volumeFamilyLabels(built('elasticsearch', '8'))
  const error = familyConflict({ name: 'shop_data', labels }, upstream('elasticsearch:8.11.1'))
  expect(error?.toInfo()).toEqual({
    code: 'CONSENT_NEEDED',
    message: 'the volume shop_data holds data that elasticsearch:8.11.1 cannot read',
    cause:
      'it was made by elasticsearch 8 of the image built on this machine, and this run would open it with elasticsearch 8 of the upstream image',
    hint: 'keep the data: use the image that made it (images.source in devstack.yaml)\nor start anew, which deletes the data: devstack down --volumes, then devstack up',
    at: null,
    problems: [],
  })
})
