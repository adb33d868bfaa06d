import assert from 'node:assert/strict'
import test from 'node:test'
import { addRow, showOwnRows } from '../../../js/lib/node_row.js'

/** A node with a row, as far as rows go. */
function nodeWithRow(id, graph, isConnected) {
  const element = { dataset: {}, isConnected, replaceWith: (other) => (element.replacedBy = other) }
  const node = { id, graph, addDOMWidget: () => ({}) }
  addRow(node, 'timeline', 'TIMELINE', element, {})
  return { node, element }
}

/** A page that shows one element as the row of the node with this id. */
function pageWith(id, shown) {
  return { querySelector: (what) => (what === `[data-node-id="${id}"] [data-fewshot-row="timeline"]` ? shown : null) }
}

test('a node of the open graph gets its own row back from a node of another graph with the same id', () => {
  const [outer, inner] = [{}, {}]
  const old = nodeWithRow(8, outer, true)
  const fresh = nodeWithRow(8, inner, false)
  showOwnRows(inner, pageWith(8, old.element))
  assert.equal(old.element.replacedBy, fresh.element)
  showOwnRows(outer, pageWith(8, fresh.element))
  assert.equal(fresh.element.replacedBy, undefined) // the old one is still in the page
})

test('a row that is in the page stays, and one of a node that is gone is not brought back', () => {
  const graph = {}
  const shown = nodeWithRow(9, graph, true)
  showOwnRows(graph, pageWith(9, shown.element))
  assert.equal(shown.element.replacedBy, undefined)
  const gone = nodeWithRow(10, graph, false)
  const stranger = nodeWithRow(10, {}, true)
  gone.node.onRemoved()
  showOwnRows(graph, pageWith(10, stranger.element))
  assert.equal(stranger.element.replacedBy, undefined)
  gone.node.onAdded()
  showOwnRows(graph, pageWith(10, stranger.element))
  assert.equal(stranger.element.replacedBy, gone.element)
})
