import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'

import { MARGIN, panelHeight } from '../../../js/lib/panel_height.js'

test('parts that stand side by side make a panel low', () => {
  assert.deepEqual([380, 623, 624, 803, 804, 1200].map((width) => panelHeight(width, false)), [500, 500, 300, 300, 300, 300])
  assert.deepEqual([380, 623, 624, 803, 804, 1200].map((width) => panelHeight(width, true)), [690, 690, 490, 490, 300, 300])
})

test('the style sheet has the same widths and heights', () => {
  const sheet = readFileSync(new URL('../../../js/training_panel.css', import.meta.url), 'utf8')
  const [narrow, ...wide] = sheet.split('@container')
  const widths = wide.map((part) => Number(part.match(/min-width: (\d+)px/)?.[1]))
  assert.deepEqual(widths, [600, 780])
  const heights = (/** @type {string} */ part) => [...part.matchAll(/\.fewshot-panel-room.*min-height: (\d+)px/g)].map((found) => Number(found[1]) + 20)
  const least = (/** @type {number} */ width) => [panelHeight(width + MARGIN, false), panelHeight(width + MARGIN, true)]
  assert.deepEqual(heights(narrow), least(0))
  assert.deepEqual(heights(wide[0]), least(600))
  assert.deepEqual(heights(wide[1]), least(780).slice(1)) // the other is as it was
})
