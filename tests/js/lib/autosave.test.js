import assert from 'node:assert/strict'
import { test } from 'node:test'
import { saveIsDue } from '../../../js/lib/autosave.js'

test('a run is saved when its minutes are over, and never where there are none', () => {
  assert.equal(saveIsDue(5, 0, 5 * 60_000), true)
  assert.equal(saveIsDue(5, 0, 5 * 60_000 - 1), false)
  assert.equal(saveIsDue(0, 0, 1e12), false)
  assert.equal(saveIsDue(NaN, 0, 1e12), false)
})
