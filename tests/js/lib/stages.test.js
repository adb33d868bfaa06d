import assert from 'node:assert/strict'
import { test } from 'node:test'
import { summaryOf } from '../../../js/lib/run_state.js'
import { stagesOf } from '../../../js/lib/stages.js'
import { stageLabel, stateLine, stopHint } from '../../../js/lib/training_texts.js'

const told = (run, stage, follows = '', more = {}) =>
  summaryOf({ run, stage, stages: 'appearance, motion', follows, state: 'running', live: true, step: 1, steps: 4, ...more })
const names = (stages) => stages.map(({ name, run }) => [name, run?.run])

test('a run that is all there is has no stages', () => {
  assert.deepEqual(stagesOf(summaryOf({ run: 'a' }), []), [])
  assert.deepEqual(stagesOf(summaryOf({ run: 'a', stage: 'motion', stages: 'motion' }), []), [])
  assert.deepEqual(stagesOf(summaryOf({ run: 'a', stage: 'odd', stages: 'one, two' }), []), [])
})

test('the first stage knows the second once it has begun, the latest where there are several', () => {
  const first = told('a', 'appearance')
  assert.deepEqual(names(stagesOf(first, [first])), [['appearance', 'a'], ['motion', undefined]])
  const known = [told('x', 'motion', 'other'), told('c', 'motion', 'a'), told('b', 'motion', 'a'), first]
  assert.deepEqual(names(stagesOf(first, known)), [['appearance', 'a'], ['motion', 'c']])
})

test('the second stage knows the one it follows, where that is known', () => {
  const second = told('b', 'motion', 'a')
  assert.deepEqual(names(stagesOf(second, [second, told('a', 'appearance')])), [['appearance', 'a'], ['motion', 'b']])
  assert.deepEqual(names(stagesOf(second, [])), [['appearance', undefined], ['motion', 'b']])
  assert.deepEqual(names(stagesOf(told('b', 'motion'), [told('', 'appearance')])), [['appearance', undefined], ['motion', 'b']])
})

test('a stage is put into words, and what stopping it does', () => {
  const first = told('a', 'appearance')
  assert.equal(stateLine(first), 'Stage 1 of 2 (appearance). Training: step 1 of 4')
  assert.match(stopHint(first), /ends this stage; motion then begins/)
  assert.equal(stopHint({ ...first, live: false }), '')
  assert.equal(stopHint(told('b', 'motion', 'a')), '')
  assert.equal(stopHint(summaryOf({ live: true })), '')
  assert.equal(stageLabel(0, 'appearance', { ...first, live: false, state: 'finished' }), '1 appearance: finished at 1 of 4')
  assert.equal(stageLabel(1, 'motion', undefined), '2 motion: not begun')
})
