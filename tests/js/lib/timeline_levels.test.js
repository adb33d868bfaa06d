import assert from 'node:assert/strict'
import test from 'node:test'

import {
  areRising, formatLevels, linearLevels, moveLevel, parseLevels, resampleLevels
} from '../../../js/lib/timeline_levels.js'

const close = (found, wanted) => {
  assert.equal(found.length, wanted.length)
  found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) < 1e-9, `${found} is not ${wanted}`))
}

test('levels are read with commas, semicolons or blanks', () => {
  assert.deepEqual(parseLevels('0.25, .5;0.75 8e-1'), [0.25, 0.5, 0.75, 0.8])
  assert.deepEqual(parseLevels('  '), [])
  assert.equal(parseLevels('0.2, high'), null)
  assert.equal(parseLevels('0x1'), null)
})

test('levels are written so that they are read back', () => {
  assert.equal(formatLevels([0.25, 0.30000000000000004, 1 / 3]), '0.25, 0.3, 0.3333')
  for (const count of [1, 3, 64, 256]) assert.ok(areRising(parseLevels(formatLevels(linearLevels(count)))))
})

test('levels rise from above 0 to below 1', () => {
  assert.ok(areRising([]) && areRising([0.1, 0.9]))
  for (const levels of [[0], [1], [0.5, 0.5], [0.5, 0.2], [NaN]]) assert.ok(!areRising(levels), String(levels))
})

test('a moved level stays between its neighbours', () => {
  close(moveLevel([0.25, 0.5, 0.75], 1, 0.613), [0.25, 0.61, 0.75])
  close(moveLevel([0.25, 0.5, 0.75], 1, 0.9), [0.25, 0.74, 0.75])
  close(moveLevel([0.25, 0.5, 0.75], 0, -1), [0.01, 0.5, 0.75])
  close(moveLevel([0.25, 0.5, 0.75], 2, 2), [0.25, 0.5, 0.99])
})

test('levels that are close still rise after a move', () => {
  for (const value of [0, 0.5, 1]) assert.ok(areRising(moveLevel([0.5, 0.501, 0.502], 1, value)))
})

test('levels of another count lie on the same curve', () => {
  close(resampleLevels([0.25, 0.5, 0.75], 1), [0.5])
  close(resampleLevels([0.25, 0.5, 0.75], 4), [0.2, 0.4, 0.6, 0.8])
  close(resampleLevels([0.1, 0.2, 0.3], 7), [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.65])
  close(resampleLevels([], 1), [0.5])
  close(resampleLevels([0.5], 0), [])
})
