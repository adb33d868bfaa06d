import assert from 'node:assert/strict'
import test from 'node:test'

import { viewOf } from '../../../js/lib/view.js'

const ROOM = { left: 75, top: 100, width: 1300, height: 780 }

/** Where a point of the canvas is on the screen. */
const onScreen = ({ scale, offset }, x, y) => [(x + offset[0]) * scale, (y + offset[1]) * scale]

test('a box that fits is seen from corner to corner', () => {
  const view = viewOf([-400, -30, 1600, 1200], ROOM)
  assert.equal(view.scale, 0.65)
  assert.deepEqual(onScreen(view, -400, -30).map(Math.round), [75, 100])
  assert.deepEqual(onScreen(view, 1200, 1170).map(Math.round), [75 + 1040, 880])
})

test('a small one is not enlarged, a large one begins at its corner and can be read', () => {
  assert.equal(viewOf([0, 0, 100, 100], ROOM).scale, 1)
  const view = viewOf([10, 20, 9000, 3000], ROOM)
  assert.ok(view.scale > 0.6)
  assert.deepEqual(onScreen(view, 10, 20).map(Math.round), [75, 100])
})
