import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { leaveBehind, takeOver } from '../../../js/lib/predecessors.js'

mock.timers.enable({ apis: ['setTimeout'] })

test('a new node takes over what the old one left behind', () => {
  const old = {}
  leaveBehind('4', old)
  assert.equal(takeOver('4', {}), old)
})

test('what another node left is not taken, and is forgotten', () => {
  const forget = mock.fn()
  leaveBehind('4', {}, forget)
  assert.equal(takeOver('5', {}), null)
  mock.timers.tick(10000)
  assert.equal(forget.mock.callCount(), 1)
  assert.equal(takeOver('4', {}), null) // too late
})

test('what has a successor is not forgotten', () => {
  const forget = mock.fn()
  leaveBehind('4', {}, forget)
  takeOver('4', {})
  mock.timers.tick(20000)
  assert.equal(forget.mock.callCount(), 0)
})

test('a node that goes and comes again with the same element has no predecessor', () => {
  const same = {}
  leaveBehind('4', same)
  assert.equal(takeOver('4', same), null)
})
