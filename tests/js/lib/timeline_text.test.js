import assert from 'node:assert/strict'
import test from 'node:test'

import { framesAt, planSequence, secondsOf } from '../../../js/lib/timeline_layout.js'
import { keptText, linkedText, movingText, partText, summaryOf } from '../../../js/lib/timeline_text.js'

const sequence = (numbers = {}) =>
  planSequence({ task: 'image to video', condition: -1, buffer: -1, levels: '', targetFrames: 36, ...numbers })

test('the sequence is summed up', () => {
  assert.equal(summaryOf(sequence()), '1 condition + 3 buffer + 9 target latents = 49 frames')
  assert.equal(summaryOf(sequence({ targetFrames: null })), '1 condition + 3 buffer + target latents')
})

test('the parts that move are told in words', () => {
  const { bars } = sequence()
  const text = (sigma) => movingText(bars, framesAt(bars, sigma), sigma)
  assert.equal(text(0.5), 'noise 0.50: moving 2 of 3 buffers and target; frozen condition and 1 of 3 buffers')
  assert.equal(text(1), 'noise 1.00: moving target; frozen condition and buffer')
  const alone = sequence({ condition: 0, buffer: 0, targetFrames: 37 }).bars
  assert.equal(movingText(alone, framesAt(alone, 1), 1), 'noise 1.00: moving target')
})

test('what the crop keeps is shown in frames and seconds', () => {
  assert.equal(keptText(sequence(), secondsOf(36, 8)), 'After the crop: 36 frames = 4.5 s at')
  assert.equal(keptText(sequence(), null), 'After the crop: 36 frames at')
  assert.equal(keptText({ kept: 1, assumed: false }, 1 / 3), 'After the crop: 1 frame = 0.33 s at')
  assert.match(keptText(sequence({ targetFrames: null }), 1), /as long as the clips/)
})

test('a part tells its frames of the decoded video', () => {
  const [condition, buffer] = sequence().parts
  assert.equal(partText(condition), 'condition: 1 latent, frame 1 of the decoded video (1)')
  assert.equal(partText(buffer), 'buffer: 3 latents, frames 2 to 13 of the decoded video (12)')
})

test('wired inputs are named', () => {
  assert.equal(linkedText([]), '')
  assert.equal(linkedText(['task']), 'task is wired: its value shows after a run')
  assert.equal(linkedText(['task', 'settings']), 'task, settings are wired: their values show after a run')
})
