import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hasNewest, takesOver, withNews } from '../../../js/lib/known_runs.js'

const of = (run, live, step = 1) => ({ run, live, step })
const ids = (runs) => runs.map(({ run }) => run)

test('a run that begins, or goes on again, is put first', () => {
  assert.deepEqual(ids(withNews([of('a', false)], of('b', true))), ['b', 'a'])
  assert.deepEqual(ids(withNews([of('b', false), of('a', false)], of('a', true))), ['a', 'b'])
})

test('news of a run take the place of older ones', () => {
  const runs = withNews([of('b', true), of('a', true)], of('a', false, 9))
  assert.deepEqual(runs, [of('b', true), of('a', false, 9)])
})

test('a run that goes on takes over, and one of which only the end was told', () => {
  assert.equal(takesOver([], of('a', true), ''), true)
  assert.equal(takesOver([], of('a', false), ''), true)
  assert.equal(takesOver([of('a', true)], of('b', true), 'a'), true)
  assert.equal(takesOver([of('a', false)], of('b', false), 'a'), true)
})

test('the end of a stage, told when the next one has begun, does not take over', () => {
  assert.equal(takesOver([of('motion', true), of('appearance', true)], of('appearance', false), 'motion'), false)
  assert.equal(takesOver([of('a', true)], of('a', true), 'a'), false)
})

test('a run that began while nobody listened is noticed, and nothing is on the first reading', () => {
  assert.equal(hasNewest([of('a', false)], [of('b', false), of('a', false)]), true)
  assert.equal(hasNewest([of('b', true), of('a', false)], [of('b', false), of('a', false)]), false)
  assert.equal(hasNewest([], [of('a', true)]), false)
  assert.equal(hasNewest([of('a', true)], []), false)
})
