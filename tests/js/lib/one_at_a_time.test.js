import assert from 'node:assert/strict'
import { test } from 'node:test'

import { oneAtATime } from '../../../js/lib/one_at_a_time.js'

/** Work that is ended by hand. */
function work() {
  const ends = []
  return { ends, begin: () => new Promise((end, fail) => ends.push({ end, fail })) }
}

const soon = () => new Promise((done) => setImmediate(done))

test('who calls while the work goes on has it done once more, and waits for that', async () => {
  const { ends, begin } = work()
  const ask = oneAtATime(begin)
  let done = 0
  for (let i = 0; i < 3; i++) ask().then(() => (done += 1))
  assert.equal(ends.length, 1)
  assert.equal(ask.isBusy(), true)
  ends[0].end()
  await soon()
  assert.deepEqual([ends.length, done], [2, 0])
  ends[1].end()
  await soon()
  assert.deepEqual([ends.length, done], [2, 3])
  assert.equal(ask.isBusy(), false)
})

test('work that nobody asked for meanwhile is done once, and again when it is asked for later', async () => {
  const { ends, begin } = work()
  const ask = oneAtATime(begin)
  for (const count of [1, 2]) {
    const answer = ask()
    ends[count - 1].end()
    await answer
    assert.equal(ends.length, count)
  }
})

test('work that fails can be asked for again', async () => {
  const { ends, begin } = work()
  const ask = oneAtATime(begin)
  const answer = ask()
  ends[0].fail(new Error('no'))
  await assert.rejects(answer, /no/)
  assert.equal(ask.isBusy(), false)
  void ask()
  assert.equal(ends.length, 2)
})
