import assert from 'node:assert/strict'
import { test } from 'node:test'
import { belongs, runOf, spread, summaryOf, takeEvent } from '../../../js/lib/run_state.js'

const VIEW = { filename: '000003.mp4', subfolder: 'fewshot_video/runs/a/samples', type: 'output' }
const TABLE = {
  run: 'a1', name: 'a', node: '4', workflow: 'w', state: 'running', text: 'started, 9 steps', live: true, step: 2, steps: 9,
  skipped: 0, loss: 0.5, smoothed: 0.6, learning_rate: 1e-3, seconds_per_step: 0.2, seconds_left: 1.4, peak_memory: 1e9,
  curve: { steps: [1, 2], loss: [0.7, 0.5], smoothed: [0.7, 0.6], '0.00-0.25': [null, 0.3] },
  bucket_labels: ['0.00-0.25'], validation: { steps: [0], mean: [0.9] }, samples: [],
  notes: [{ step: 0, kind: 'started', text: 'started, 9 steps' }],
}
const event = (step, news, more = {}) => ({ ...TABLE, step, loss: 1 / step, smoothed: 0.5, news, ...more })

test('a step adds to the curves and moves the run on', () => {
  const run = runOf(TABLE)
  takeEvent(run, event(3, { step: true }))
  assert.deepEqual(run.curve.steps, [1, 2, 3])
  assert.equal(run.curve.columns.loss[2], 1 / 3)
  assert.equal(run.curve.columns['0.00-0.25'][2], null)
  assert.equal(run.step, 3)
  assert.equal(run.gaps, false)
})

test('a step that was read already is not added twice', () => {
  const run = runOf(TABLE)
  takeEvent(run, event(2, { step: true }))
  assert.deepEqual(run.curve.steps, [1, 2])
  assert.deepEqual(run.curve.columns['0.00-0.25'], [null, 0.3])
  assert.equal(run.gaps, false)
})

test('a step of long ago, or of a run that went back, has the table read again', () => {
  const run = runOf(TABLE)
  takeEvent(run, event(1, { step: true }))
  assert.deepEqual(run.curve.steps, [1, 2])
  assert.equal(run.gaps, true)
})

test('steps that no event told of are noticed', () => {
  const run = runOf(TABLE)
  takeEvent(run, event(5, { step: true }))
  assert.equal(run.gaps, true)
})

test('validation and samples are taken in, and what had to be left out of an event is noticed', () => {
  const run = runOf(TABLE)
  takeEvent(run, event(4, { validation: { mean: 0.4 }, sample: VIEW }))
  assert.deepEqual(run.validation, { steps: [0, 4], columns: { mean: [0.9, 0.4] } })
  assert.deepEqual(run.samples, [{ ...VIEW, step: 3 }]) // the step of the preview, not of the event
  assert.equal(run.gaps, false)
  takeEvent(run, event(4, { validation: true }))
  assert.equal(run.gaps, true)
  const other = runOf(TABLE)
  takeEvent(other, event(4, { sample: true }))
  assert.equal(other.gaps, true)
  assert.deepEqual(other.samples, [])
})

test('a sentence is shown once, also when it comes shortened', () => {
  const run = runOf(TABLE)
  takeEvent(run, event(3, { step: true, note: true }, { text: 'saved: a long name' }))
  takeEvent(run, event(4, { step: true }, { text: 'saved: a lo' }))
  assert.deepEqual(run.notes.map((note) => note.text), ['started, 9 steps', 'saved: a long name'])
})

test('an end without numbers keeps the last ones', () => {
  const run = runOf(TABLE)
  takeEvent(run, event(9, { ended: true }, { state: 'finished', live: false, loss: null, text: 'done' }))
  assert.deepEqual([run.state, run.live, run.loss, run.text], ['finished', false, 0.5, 'done'])
  assert.equal(run.began, null)
})

test('whatever comes, there is a run', () => {
  for (const table of [{}, { curve: 3, samples: 'x', notes: [null, { text: 5 }], steps: 'many', state: null, bucket_labels: [1] }]) {
    const run = runOf(table)
    assert.deepEqual([run.step, run.steps, run.state, run.samples, run.notes, run.curve.steps], [0, 0, '', [], [], []])
    takeEvent(run, {})
  }
  assert.equal(summaryOf({ live: 'yes' }).live, false)
  assert.deepEqual(runOf({ samples: [{ step: 1, filename: 'a', subfolder: 2, type: 'output' }] }).samples, [])
})

test('samples and notes are bounded', () => {
  const run = runOf(TABLE)
  for (let step = 3; step < 300; step++) takeEvent(run, event(step, { sample: { ...VIEW, filename: `${step}.mp4` } }, { text: `note ${step}.` }))
  assert.equal(run.samples.length, 60)
  assert.equal(run.notes.length, 100)
  assert.equal(run.samples.at(-1).step, 299)
})

test('a run belongs to its node, and to its workflow where that is known', () => {
  const run = { node: '4', workflow: 'w' }
  assert.equal(belongs(run, ['3', '4'], 'w'), true)
  assert.equal(belongs(run, ['4'], 'other'), false)
  assert.equal(belongs(run, ['4'], ''), true)
  assert.equal(belongs({ node: '4', workflow: '' }, ['4'], 'w'), true)
  assert.equal(belongs(run, ['3'], 'w'), false)
  assert.equal(belongs({ node: '', workflow: '' }, ['3'], ''), false)
})

test('a long list is spread evenly, its ends kept', () => {
  assert.deepEqual(spread([1, 2, 3], 5), [1, 2, 3])
  assert.deepEqual(spread([...Array(100).keys()], 4), [0, 33, 66, 99])
  assert.deepEqual(spread([1, 2, 3], 1), [1])
})
