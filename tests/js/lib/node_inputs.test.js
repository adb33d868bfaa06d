import assert from 'node:assert/strict'
import test from 'node:test'

import { isWired, outputKey, readInput } from '../../../js/lib/node_inputs.js'
import { valueAfterKey } from '../../../js/timeline/handle.js'

const drawn = { setDirtyCanvas() {} }
const slot = (name) => ({ name, widget: { name } })

/** What a node of the front end can tell of the one link into its first input. */
function wires(link) {
  return { isInputConnected: (slot) => slot === 0 && link !== null, getInputLink: (slot) => (slot === 0 ? link : null) }
}

/** A node with one widget, in a graph. */
function nodeWith(value, link = null, graph = drawn) {
  return { id: 5, graph, inputs: [slot('count')], widgets: [{ name: 'count', value }], ...wires(link) }
}

/** A graph with so many copies of a subgraph whose input `outer` leads to the node's `count`. */
function rootWith(values, link = null) {
  const subgraph = { id: 'inside', inputs: [{ name: 'outer' }], setDirtyCanvas() {} }
  const node = nodeWith(1, { origin_id: -10, origin_slot: 0 }, subgraph)
  const hosts = values.map((value, id) => ({
    id, subgraph, inputs: [slot('outer')], widgets: [{ name: 'outer', value }], graph: drawn, ...wires(link)
  }))
  return { node, hosts, root: { nodes: hosts } }
}

test('an input that is not wired is its own widget, which hears of the change', () => {
  const node = nodeWith(3)
  let heard = null
  node.widgets[0].callback = (value) => (heard = value)
  const input = readInput(node, 'count', {})
  assert.deepEqual([input.value, input.linked], [3, false])
  input.set(4)
  assert.deepEqual([node.widgets[0].value, heard], [4, 4])
})

test('a wired input is not set', () => {
  const node = nodeWith(3, { origin_id: 2, origin_slot: 0 })
  const input = readInput(node, 'count', {})
  input.set(4)
  assert.deepEqual([input.linked, node.widgets[0].value, isWired(node, 'count')], [true, 3, true])
})

test('an input that the subgraph shows is read and set there', () => {
  const { node, hosts, root } = rootWith([8])
  const input = readInput(node, 'count', root)
  assert.deepEqual([input.value, input.linked], [8, false])
  input.set(9)
  assert.deepEqual([hosts[0].widgets[0].value, node.widgets[0].value], [9, 1])
})

test('copies of a subgraph that differ leave the value open', () => {
  const { node, root } = rootWith([8, 9])
  assert.equal(readInput(node, 'count', root).linked, true)
  const same = rootWith([8, 8])
  readInput(same.node, 'count', same.root).set(5)
  assert.deepEqual(same.hosts.map((host) => host.widgets[0].value), [5, 5])
})

test('an input that is wired outside of the subgraph counts as wired', () => {
  const { node, root } = rootWith([8], { origin_id: 3 })
  assert.equal(readInput(node, 'count', root).linked, true)
})

test('what a node does not have is null', () => {
  assert.equal(readInput(nodeWith(1), 'other', {}), null)
})

test('outputs are kept under the id, behind that of a subgraph', () => {
  const root = {}
  assert.equal(outputKey({ id: 5, graph: root }, root), '5')
  assert.equal(outputKey({ id: 5, graph: { id: 'inside' } }, root), 'inside:5')
})

test('the keys of a slider move it', () => {
  const setting = { value: 5, min: 0, max: 9, step: 1, page: 4 }
  const values = ['ArrowRight', 'ArrowDown', 'PageUp', 'PageDown', 'Home', 'End', 'a'].map((key) => valueAfterKey(key, setting))
  assert.deepEqual(values, [6, 4, 9, 1, 0, 9, null])
})
