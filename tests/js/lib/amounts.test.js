import assert from 'node:assert/strict'
import { test } from 'node:test'
import { duration, isNumber, memory, pace, short } from '../../../js/lib/amounts.js'

test('numbers have three digits, small and large ones an exponent', () => {
  const cases = [[0.123456, '0.123'], [0, '0'], [12.3456, '12.3'], [1e-4, '1e-4'], [1.234e-5, '1.23e-5'], [2.5e6, '2.5e6'], [-0.5, '-0.5'], [100000, '1e5'], [99999, '100000']]
  for (const [value, text] of cases) assert.equal(short(value), text)
})

test('seconds become the two largest units, whole at their borders', () => {
  const cases = [[0, '0 s'], [59.4, '59 s'], [59.6, '1 min'], [200, '3 min 20 s'], [3599.7, '1 h'], [7500, '2 h 5 min'], [86399, '1 d'], [100000, '1 d 4 h']]
  for (const [value, text] of cases) assert.equal(duration(value), text)
})

test('memory is in units of 1000', () => {
  assert.equal(memory(820e6), '820 MB')
  assert.equal(memory(999.9e6), '1.0 GB')
  assert.equal(memory(11.34e9), '11.3 GB')
})

test('what is missing or no number is a dash', () => {
  for (const value of [null, undefined, NaN, Infinity, '3', {}]) {
    assert.equal(isNumber(value), false)
    for (const shown of [short, duration, memory, pace]) assert.equal(shown(value), '–')
  }
  for (const shown of [duration, memory, pace]) assert.equal(shown(-1), '–')
})

test('a pace is shown in seconds', () => assert.equal(pace(0.4211), '0.421 s'))
