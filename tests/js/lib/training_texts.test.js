import assert from 'node:assert/strict'
import { test } from 'node:test'
import { figures, outcome, reading, refused, runLine, sentence, stateLine } from '../../../js/lib/training_texts.js'
import { runOf } from '../../../js/lib/run_state.js'

const run = runOf({ state: 'running', live: true, step: 3, steps: 9, seconds_left: 75, loss: 0.5, smoothed: 0.25, peak_memory: 2e9, seconds_per_step: 12.5, learning_rate: 1e-4 })

test('a run that goes on says where it stands and how long it takes', () => {
  assert.equal(stateLine(run), 'Training: step 3 of 9, 1 min 15 s left')
  assert.equal(stateLine({ ...run, live: false, state: 'stopped' }), 'Stopped: step 3 of 9')
  assert.equal(stateLine({ ...run, live: false, state: 'odd' }), 'odd: step 3 of 9')
  assert.equal(stateLine({ ...run, live: false, state: '' }), 'Unknown: step 3 of 9')
})

test('the figures have their units, and no time is left to a run that is over', () => {
  const shown = Object.fromEntries(figures(run).map(([name, value]) => [name, value]))
  assert.deepEqual(shown, { loss: '0.5', smoothed: '0.25', 'time left': '1 min 15 s', 'per step': '12.5 s', 'peak memory': '2.0 GB', 'learning rate': '1e-4' })
  assert.equal(figures({ ...run, live: false })[2][1], '–')
})

test('how far a run came has the same names for every run', () => {
  const told = outcome({ ...run, live: false, state: 'stopped' })
  assert.deepEqual(Object.fromEntries(told), { state: 'stopped at 3 of 9', loss: '0.5', smoothed: '0.25', 'per step': '12.5 s', 'peak memory': '2.0 GB' })
  const empty = outcome(runOf({ state: 'running' }))
  assert.deepEqual(empty.map(([name]) => name), told.map(([name]) => name))
  assert.deepEqual(empty.slice(1).map(([, value]) => value), ['–', '–', '–', '–'])
})

test('what lies under the pointer is read without its gaps', () => {
  assert.equal(reading(4, [['loss', 0.5], ['smoothed', null], ['validation', undefined]]), 'step 4 · loss 0.5')
})

test('a run of the list tells its state and loss', () => {
  assert.equal(runLine({ ...run, state: 'interrupted' }), 'interrupted at 3 of 9, loss 0.25')
  assert.equal(runLine({ ...run, smoothed: null }), 'training at 3 of 9')
})

test('what the server says becomes a sentence', () => {
  assert.equal(sentence('the run stops'), 'The run stops.')
  assert.equal(sentence(refused('it has ended!')), 'That did not work: it has ended!')
  assert.equal(sentence(''), '')
})
