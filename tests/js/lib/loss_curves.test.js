import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addPoint, aligned, curveOf, emptyCurve, isDrawn, line, nearest } from '../../../js/lib/loss_curves.js'

test('a table of the route becomes a curve, its unusual values gaps', () => {
  const curve = curveOf({ steps: [1, 2, 3], loss: [0.5, null, 'x'], short: [1], odd: 'text' })
  assert.deepEqual(curve, { steps: [1, 2, 3], columns: { loss: [0.5, null, null], short: [1, null, null] } })
  for (const table of [undefined, {}, { steps: 'x' }, { steps: [1, null] }]) assert.deepEqual(curveOf(table), emptyCurve())
})

test('points are added, a new column is empty before them', () => {
  const curve = emptyCurve()
  addPoint(curve, 1, { loss: 0.5 })
  addPoint(curve, 3, { loss: 0.4, smoothed: 0.45 })
  assert.deepEqual(curve, { steps: [1, 3], columns: { loss: [0.5, 0.4], smoothed: [null, 0.45] } })
})

test('a run that goes back drops what came after', () => {
  const curve = curveOf({ steps: [1, 2, 3, 4], loss: [4, 3, 2, 1] })
  addPoint(curve, 3, { loss: 9 })
  assert.deepEqual(curve, { steps: [1, 2, 3], columns: { loss: [4, 3, 9] } })
})

test('lines over different steps share an axis: lacking steps are drawn through, gaps are not', () => {
  const data = aligned([{ steps: [1, 2, 4], values: [1, null, 4] }, { steps: [0, 4], values: [7, 8] }])
  assert.deepEqual(data, [[0, 1, 2, 4], [undefined, 1, null, 4], [7, undefined, undefined, 8]])
  assert.deepEqual(aligned([]), [[]])
})

test('a line without a number is not drawn', () => {
  assert.equal(isDrawn(line(curveOf({ steps: [1], loss: [null] }), 'loss')), false)
  assert.equal(isDrawn(line(curveOf({ steps: [1], loss: [0] }), 'loss')), true)
  assert.equal(isDrawn(line(emptyCurve(), 'loss')), false)
})

test('the nearest step is found, also beyond the ends', () => {
  assert.equal(nearest([1, 5, 10], 7), 1)
  assert.equal(nearest([1, 5, 10], 8), 2)
  assert.equal(nearest([1, 5, 10], -3), 0)
  assert.equal(nearest([], 1), null)
})
