import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { leavePlace, takePlace } from '../../../js/lib/shown_element.js'

mock.timers.enable({ apis: ['setTimeout'] })

/** An element of a page, as far as places go. */
function element(isConnected) {
  const made = { isConnected, replacedBy: null }
  made.replaceWith = (other) => {
    made.replacedBy = other
    made.isConnected = false
    other.isConnected = true
  }
  return made
}

test('a new element takes the place of the one that is still shown', () => {
  const [old, fresh] = [element(true), element(false)]
  leavePlace('4', old)
  assert.equal(takePlace('4', fresh), old)
  mock.timers.tick(0)
  assert.equal(old.replacedBy, fresh)
})

test('an element that the page has put in its place itself is left alone', () => {
  const [old, fresh] = [element(true), element(false)]
  leavePlace('4', old)
  takePlace('4', fresh)
  fresh.isConnected = true
  mock.timers.tick(1000)
  assert.equal(old.replacedBy, null)
})

test('the place of another node is not taken', () => {
  const forget = mock.fn()
  leavePlace('4', element(true), forget)
  assert.equal(takePlace('5', element(false)), null)
  mock.timers.tick(10000)
  assert.equal(forget.mock.callCount(), 1)
  assert.equal(takePlace('4', element(false)), null) // too late
})

test('what has a successor is not forgotten', () => {
  const forget = mock.fn()
  leavePlace('4', element(true), forget)
  takePlace('4', element(false))
  mock.timers.tick(20000)
  assert.equal(forget.mock.callCount(), 0)
})

test('a node that goes and comes again with the same element has no predecessor', () => {
  const same = element(false)
  leavePlace('4', same)
  assert.equal(takePlace('4', same), null)
})
