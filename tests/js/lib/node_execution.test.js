import assert from 'node:assert/strict'
import { test } from 'node:test'

import { NodeExecution } from '../../../js/lib/node_execution.js'

const FINISHED = { state: 'finished', live: false }
const TRAINING = { state: 'running', live: true }
const WHY = { exception_message: 'The clip a.mp4 is too short.\nA hint of the host', traceback: ['File "secret.py"'] }

function executing() {
  const made = new NodeExecution()
  made.begin()
  return made
}

test('nothing is said of a node that does not execute', () => {
  assert.equal(new NodeExecution().line(FINISHED), undefined)
})

test('a node that executes prepares until its run goes on, also beside an earlier run', () => {
  const node = executing()
  assert.match(node.line(FINISHED) ?? '', /^Preparing: /)
  node.goOn(3, 13)
  assert.equal(node.line(null), 'Preparing: clips are encoded before the first step, 3 of 13')
  node.goOn(0, 1) // a bar without a length yet
  assert.doesNotMatch(node.line(null) ?? '', /of 1/)
  node.takeRun()
  assert.equal(node.line(TRAINING), undefined)
  node.goOn(5, 100) // steps of the run
  assert.equal(node.line(FINISHED), undefined) // also when the run has ended and the node has not
})

test('a page that comes later learns from the progress that the node prepares', () => {
  const node = new NodeExecution()
  node.goOn(4, 13)
  assert.match(node.line(null) ?? '', /4 of 13$/)
  assert.equal(node.line(TRAINING), undefined) // until it has read that the run goes on
})

test('the preparation ends with the execution', () => {
  const node = executing()
  node.end()
  assert.equal(node.line(FINISHED), undefined)
})

test('a failure is shown in one line, before any run of it', () => {
  const node = executing()
  node.fail(WHY)
  assert.equal(node.line(FINISHED), 'Not run: The clip a.mp4 is too short.')
  assert.equal(node.line(null), 'Not run: The clip a.mp4 is too short.')
})

test('a failure is bounded, and has the name of the error where it has no message', () => {
  const node = executing()
  node.fail({ exception_message: 'x'.repeat(5000) })
  assert.ok((node.line(null) ?? '').length < 320)
  node.fail({ exception_message: '\n', exception_type: 'KeyError' })
  assert.equal(node.line(null), 'Not run: KeyError')
  node.fail({ exception_message: undefined })
  assert.equal(node.line(FINISHED), undefined)
})

test('a failure of a run is shown by the run, and one after its end by the node', () => {
  const node = executing()
  node.takeRun()
  node.fail(WHY)
  assert.equal(node.line({ state: 'failed', live: false }), undefined)
  assert.equal(node.line(FINISHED), 'Failed: The clip a.mp4 is too short.')
})

for (const [what, then] of [['executes again', 'begin'], ['has a run', 'takeRun'], ['has a result', 'forget']]) {
  test(`a failure is forgotten for good when the node ${what}`, () => {
    const node = executing()
    node.fail(WHY)
    node[then]()
    node.end()
    assert.equal(node.line(FINISHED), undefined)
    node.takeRun()
    node.end()
    assert.equal(node.line(FINISHED), undefined)
  })
}

test('a node that executes again after a run prepares again', () => {
  const node = executing()
  node.takeRun()
  node.end()
  node.begin()
  assert.match(node.line(FINISHED) ?? '', /^Preparing: /)
  node.fail(WHY)
  assert.match(node.line(FINISHED) ?? '', /^Not run: /)
})
