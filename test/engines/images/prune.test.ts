import { expect, test } from 'vitest'
import { IMAGE_LABEL } from '../../../src/engines/images/recipes.js'
import { findSuperseded, pruneSuperseded } from '../../../src/engines/images/prune.js'
import { FakeImageEngine, fakeImage, fakeRecipe } from './fakes.js'

const signal = new AbortController().signal
const RECIPES = [fakeRecipe('redis')]

function made(tag: string, hash: string, name = 'redis'): ReturnType<typeof fakeImage> {
  return fakeImage(tag, { [IMAGE_LABEL.image]: name, [IMAGE_LABEL.recipe]: hash })
}

test('only images of an older recipe of ours that no container uses', async () => {
  const old = made('devstack/redis:old', 'old')
  const used = made('devstack/redis:used', 'used')
  const engine = new FakeImageEngine([
    old,
    used,
    made('devstack/redis:aaaaaaaaaaaa', 'aaaaaaaaaaaa'),
    made('devstack/unknown:old', 'old', 'unknown'),
    // Built on ours, so it has our labels: somebody's own all the same.
    made('shop-cache:latest', 'old'),
    { ...made('x', 'old'), tags: [] },
    { ...made('devstack/redis:kept', 'old'), tags: ['devstack/redis:kept', 'mine:1'] },
    fakeImage('redis:8'),
  ])
  engine.used = new Set([used.id])
  expect(await findSuperseded(engine, RECIPES, signal)).toEqual([
    { id: old.id, ref: 'devstack/redis:old', bytes: 1000 },
  ])
  expect(engine.removed).toEqual([])
})

test('an image that came into use since stays, and another failure is told', async () => {
  const engine = new FakeImageEngine()
  const images = ['gone', 'used', 'free'].map((ref) => ({ id: ref, ref, bytes: 1 }))
  engine.removal = (ref) => {
    const statusCode = { gone: 404, used: 409 }[ref]
    return statusCode === undefined ? null : Object.assign(new Error(ref), { statusCode })
  }
  expect((await pruneSuperseded(engine, images, signal)).map(({ ref }) => ref)).toEqual(['free'])
  expect(engine.removed).toEqual(['free'])
  engine.removal = () => Object.assign(new Error('broken'), { statusCode: 500 })
  await expect(pruneSuperseded(engine, images, signal)).rejects.toThrow('broken')
})
