import { expect, it } from 'vitest'
import { KubeError } from '../../../src/engines/kind/kube/errors.js'
import { pathOf, refusalProblems } from '../../../src/engines/kind/refusals.js'

const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'api' } }
const locate = (_: unknown, path: readonly (string | number)[]) => ({
  file: 'api.yaml',
  line: path.length + 1,
  column: 1,
})

it('a path of the API server is read key by key', () => {
  expect(pathOf('spec.template.spec.containers[0].image')).toEqual([
    'spec',
    'template',
    'spec',
    'containers',
    0,
    'image',
  ])
  expect(pathOf('metadata.annotations[a.b/c]')).toEqual(['metadata', 'annotations', 'a.b/c'])
})

it('every unknown field is told at its place', () => {
  const message =
    'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.replica", unknown field "spec.template.spec.container"'
  const error = new KubeError(400, { message, reason: 'BadRequest' }, 'apply it', 'OPERATION_FAILED')
  expect(refusalProblems(object, error, locate)).toEqual([
    {
      message: 'Deployment api has no field spec.replica',
      at: { file: 'api.yaml', line: 3, column: 1 },
      hint: null,
    },
    {
      message: 'Deployment api has no field spec.template.spec.container',
      at: { file: 'api.yaml', line: 5, column: 1 },
      hint: null,
    },
  ])
})

it('a value that is not allowed is told with the server’s reason', () => {
  const causes = [
    {
      field: 'spec.replicas',
      message: 'Invalid value: -1: must be greater than or equal to 0',
      reason: 'FieldValueInvalid',
    },
  ]
  const error = new KubeError(
    422,
    { message: 'Deployment.apps "api" is invalid', reason: 'Invalid', details: { causes } },
    'apply it',
    'OPERATION_FAILED',
  )
  expect(refusalProblems(object, error, locate)).toMatchObject([
    { message: 'Deployment api: spec.replicas: Invalid value: -1: must be greater than or equal to 0' },
  ])
})

it('what is not the object’s fault is none of its problems', () => {
  const error = new KubeError(
    403,
    { message: 'forbidden', reason: 'Forbidden' },
    'apply it',
    'OPERATION_FAILED',
  )
  expect(refusalProblems(object, error, locate)).toBeNull()
  expect(refusalProblems(object, new Error('x'), locate)).toBeNull()
})
