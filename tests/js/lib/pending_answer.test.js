import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PendingAnswer } from '../../../js/lib/pending_answer.js'

const STEP = { text: '', news: { step: true } }
const SAVED = { text: 'saved: a at step 4', news: { note: true } }
const SAMPLE = { text: '', news: { step: true, sample: true } }
const SKIPPED = { text: 'the preview after 4 steps was skipped: no memory', news: { note: true } }

function given(order) {
  const made = new PendingAnswer()
  made.see('a')
  made.give(order)
  return made
}

test('an answer holds until what was ordered has happened', () => {
  for (const [order, others, done] of [
    ['save', [STEP, SAMPLE, SKIPPED], [SAVED]],
    ['sample', [STEP, SAVED], [SAMPLE, SKIPPED]],
    ['stop', [STEP, SAVED, SAMPLE], []],
  ]) {
    for (const event of others) assert.equal(given(order).hear(event), false, `${order} ${JSON.stringify(event)}`)
    for (const event of done) assert.equal(given(order).hear(event), true, `${order} ${JSON.stringify(event)}`)
  }
})

test('an answer holds until another run goes on, or none', () => {
  const answer = given('stop')
  assert.equal(answer.see('a'), false)
  assert.equal(answer.isOpen('stop'), true)
  assert.equal(answer.see(''), true)
  assert.equal(answer.isOpen('stop'), false)
  assert.equal(answer.see('a'), true) // the run goes on again
})

test('an answer that comes after what was ordered is no longer wanted', () => {
  const answer = given('save')
  answer.hear(SAVED)
  assert.equal(answer.isOpen('save'), false)
  assert.equal(answer.hear(SAVED), false)
})
