import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findings, summary, tableOf } from '../../../js/lib/dataset_texts.js'

const ROW = { name: 'a', caption: '', used: true, facts: '', target: null, condition: null, reasons: [], warnings: [], notes: [] }

test('one line says how many clips are used, left out and to be looked at', () => {
  assert.equal(summary({ rows: [ROW], used: 1, found: 1, advice: [] }), '1 of 1 clip used')
  const rows = [{ ...ROW, warnings: ['x', 'y'] }, ROW, { ...ROW, used: false, reasons: ['z'] }]
  assert.equal(summary({ rows, used: 2, found: 3, advice: [] }), '2 of 3 clips used, 1 left out, 1 to look at')
})

test('all findings of a clip are listed, the gravest first', () => {
  assert.deepEqual(findings({ ...ROW, notes: ['n'], warnings: ['w', 'v'], reasons: ['r'] }).map(({ text }) => text), ['r', 'w', 'v', 'n'])
})

test('what is no table of this version is none', () => {
  const table = { rows: [ROW], used: 1, found: 1, advice: [] }
  assert.deepEqual(tableOf({ key: [JSON.stringify(table)] }, 'key'), table)
  for (const odd of [undefined, {}, { key: 'x' }, { key: ['{'] }, { key: ['{"rows": 3}'] }, { key: [7] }]) {
    assert.equal(tableOf(odd, 'key'), null)
  }
})
