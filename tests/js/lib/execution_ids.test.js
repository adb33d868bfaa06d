import assert from 'node:assert/strict'
import { test } from 'node:test'
import { executionIds } from '../../../js/lib/execution_ids.js'

const inner = { id: '2' }
const shared = { nodes: [{ id: '1' }, inner] }
const root = { nodes: [{ id: '7' }, { id: '3', subgraph: shared }, { id: '5', subgraph: { nodes: [{ id: '9', subgraph: shared }] } }] }

test('a node of the root has one id', () => assert.deepEqual(executionIds(root.nodes[0], root), ['7']))

test('a node of a subgraph has one for each place it is used in', () => {
  assert.deepEqual(executionIds(inner, root), ['3:2', '5:9:2'])
})

test('a node that is gone has none', () => assert.deepEqual(executionIds({ id: '7' }, root), []))
