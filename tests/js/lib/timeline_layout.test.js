import assert from 'node:assert/strict'
import test from 'node:test'

import { framesAt, pixelFrames, planSequence, secondsOf, targetFramesOf } from '../../../js/lib/timeline_layout.js'

const usual = { task: 'image to video', condition: -1, buffer: -1, levels: '', targetFrames: 36 }
const sentences = (numbers) => planSequence({ ...usual, ...numbers }).problems.map(({ text }) => text)

test('the counts are those of the task where none are given', () => {
  const { condition, buffer, target, kept, frames, problems } = planSequence(usual)
  assert.deepEqual({ condition, buffer, target, kept, frames }, { condition: 1, buffer: 3, target: 9, kept: 36, frames: 49 })
  assert.deepEqual(problems, [])
})

test('there is one bar a latent frame at its own noise level', () => {
  const { bars } = planSequence({ ...usual, targetFrames: 8 })
  assert.deepEqual(bars.map(({ role, level }) => [role, level]), [
    ['condition', 0], ['buffer', 0.25], ['buffer', 0.5], ['buffer', 0.75], ['target', 1], ['target', 1]
  ])
})

test('the parts say which frames of the decoded video they are', () => {
  const parts = planSequence(usual).parts.map(({ role, frames, from, to }) => [role, frames, from, to])
  assert.deepEqual(parts, [['condition', 1, 1, 1], ['buffer', 12, 2, 13], ['target', 36, 14, 49]])
  const { parts: alone } = planSequence({ ...usual, condition: 0, buffer: 0, targetFrames: 9 })
  assert.deepEqual(alone.map(({ frames, from, to }) => [frames, from, to]), [[9, 1, 9]])
})

test('a video autoencoder of another compression makes other counts', () => {
  const { target, kept, frames } = planSequence({ ...usual, targetFrames: 32, compression: 8 })
  assert.deepEqual([target, kept, frames], [4, 32, 57])
})

test('what a LoRA was trained in stands for what is not given, and what is given goes before it', () => {
  const trained = { condition: 2, buffer: 2, levels: [0.1, 0.2] }
  const { condition, buffer, levels } = planSequence({ ...usual, trained })
  assert.deepEqual([condition, buffer, levels], [2, 2, [0.1, 0.2]])
  assert.deepEqual(planSequence({ ...usual, trained, levels: '0.3, 0.9' }).levels, [0.3, 0.9])
  assert.equal(planSequence({ ...usual, trained, condition: 5 }).condition, 5)
})

test('the custom task takes as many latents as its conditions fill', () => {
  assert.equal(planSequence({ ...usual, task: 'custom', lengths: [25, 1] }).condition, 5)
  assert.equal(planSequence({ ...usual, task: 'custom', lengths: [1] }).condition, 1)
})

test('a model that patches time gets whole patches', () => {
  const { condition, buffer } = planSequence({ ...usual, timePatch: 2, targetFrames: 40 })
  assert.deepEqual([condition, buffer], [2, 4])
  assert.match(sentences({ timePatch: 2, condition: 3, targetFrames: 40 })[0], /takes latent frames 2 at a time, condition has 3; use 2 or 4/)
})

test('a target without a length is drawn with a guess that says so', () => {
  const { target, assumed, problems } = planSequence({ ...usual, targetFrames: null })
  assert.deepEqual([target, assumed, problems], [9, true, []])
  const trained = planSequence({ ...usual, targetFrames: null, trained: { target: 7 } })
  assert.deepEqual([trained.target, trained.assumed], [7, false])
})

test('frames that fill no latent are told', () => {
  assert.deepEqual(sentences({ targetFrames: 37 }), ['target_frames 37 must be a multiple of 4; use 36 or 40'])
  assert.deepEqual(sentences({ condition: 0, buffer: 0 }), [
    'target_frames 36 must be a multiple of 4 plus 1 (there is no condition); use 33 or 37'
  ])
  assert.deepEqual(sentences({ condition: 0, buffer: 0, targetFrames: 37 }), [])
  for (const targetFrames of [0, 1]) assert.match(sentences({ targetFrames })[0], /use 4 or 8/)
})

test('levels that do not fit are told and drawn evenly', () => {
  assert.match(sentences({ levels: '0.2, 0.5' })[0], /^2 buffer levels for 3 buffer latents; give one level per buffer/)
  assert.match(sentences({ levels: '0.5, 0.2, 0.9' })[0], /must rise and lie between 0 and 1, like 0.25, 0.5, 0.75/)
  assert.match(sentences({ levels: '0.5, 0.6, 1' })[0], /must rise/)
  assert.match(sentences({ levels: 'low, high' })[0], /are not numbers/)
  assert.deepEqual(planSequence({ ...usual, levels: '0.5, 0.2, 0.9' }).levels, [0.25, 0.5, 0.75])
})

test('too few latents for the conditions are told', () => {
  assert.match(sentences({ task: 'action transfer', condition: 1 })[0], /too few condition latents: 'action transfer' needs 2/)
  assert.match(sentences({ task: 'keyframes', condition: 2, connected: 3 })[0], /3 images need one each, there are 2/)
  assert.match(sentences({ task: 'keyframes', lengths: [5], connected: 1 })[0], /5 images need one each, there are 4/)
  assert.deepEqual(sentences({ task: 'keyframes', lengths: [4], connected: 1 }), [])
})

test('too few frames of a clip are told', () => {
  const clip = { task: 'video to video', connected: 1 }
  assert.match(sentences({ ...clip, lengths: [10] })[0], /too few condition frames: the clip has 10 of 25/)
  assert.deepEqual(sentences({ ...clip, lengths: [25] }), [])
  const action = { task: 'action transfer', connected: 2 }
  assert.match(sentences({ ...action, lengths: [20, 1] })[0], /the clip has 20 of 21/)
  assert.deepEqual(sentences({ ...action, lengths: [21, 1] }), [])
})

test('what is not wired is shown, unless there is no place for it', () => {
  assert.match(sentences({ connected: 0 })[0], /'image to video' has no condition; connect one image to condition/)
  assert.match(sentences({ connected: 2 })[0], /has 2 conditions/)
  assert.match(sentences({ task: 'action transfer', connected: 1 })[0], /has 1 condition; connect a clip/)
  assert.deepEqual(sentences({ task: 'keyframes', connected: 3 }), [])
  assert.deepEqual(sentences({ connected: 0, condition: 0, buffer: 0, targetFrames: 37 }), [])
})

test('a LoRA of another task is shown', () => {
  assert.match(sentences({ trained: { task: 'keyframes' } })[0], /trained for 'keyframes', the task is 'image to video'/)
})

test('a task this page does not know is drawn as one of its own making', () => {
  assert.deepEqual(planSequence({ ...usual, task: 'no such task' }).condition, 1)
})

test('a frame moves once the noise level has fallen to its own', () => {
  const { bars } = planSequence({ ...usual, targetFrames: 4 })
  const moving = (sigma) => framesAt(bars, sigma).map(({ moves }) => moves)
  assert.deepEqual(moving(1), [false, false, false, false, true])
  assert.deepEqual(moving(0.5), [false, false, true, true, true])
  assert.deepEqual(moving(0.5 + 1e-9), [false, false, true, true, true])
  assert.deepEqual(moving(0), [false, true, true, true, true])
  assert.deepEqual(framesAt(bars, 0.5).map(({ level }) => level), [0, 0.25, 0.5, 0.5, 0.5])
})

test('counts of frames follow those of latents', () => {
  assert.deepEqual([0, 1, 4].map((latents) => pixelFrames(latents)), [0, 1, 13])
  assert.deepEqual([targetFramesOf(9, 4), targetFramesOf(9, 0), targetFramesOf(9, 4, 8)], [36, 33, 72])
  assert.equal(secondsOf(36, 16), 2.25)
  assert.equal(secondsOf(36, 0), null)
})
