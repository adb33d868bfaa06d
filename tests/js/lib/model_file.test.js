import assert from 'node:assert/strict'
import test from 'node:test'

import { compressionOf } from '../../../js/lib/model_file.js'
import { readState } from '../../../js/timeline/state.js'

/** A chain of nodes, each wired to the one before it by `model`; the last one is returned. */
function chain(...nodes) {
  const graph = { inputs: [], nodes: [], getNodeById: (id) => nodes[id] }
  nodes.forEach((node, id) => {
    Object.assign(node, { id, graph, properties: {}, inputs: [{ name: 'model' }] })
    node.isInputConnected = () => id > 0
    node.getInputLink = () => (id > 0 ? { origin_id: id - 1, origin_slot: 0 } : null)
  })
  return nodes.at(-1)
}

const loader = (name, value) => ({ type: 'AnyLoader', widgets: [{ name, value }] })
const lora = { type: 'TICFTLoadLoRA', widgets: [{ name: 'lora_name', value: 'ltx_style.safetensors' }] }

test('the name of the file tells how many frames a latent stands for', () => {
  assert.equal(compressionOf(chain(loader('ckpt_name', 'ltx-2.3-22b-dev-fp8.safetensors'), {}), {}), 8)
  assert.equal(compressionOf(chain(loader('unet_name', 'wan2.1_t2v_1.3B_fp16.safetensors'), { ...lora }, {}), {}), 4)
  assert.equal(compressionOf(chain({ type: 'FewShotToyVideoModel', widgets: [] }, {}), {}), 4)
})

test('a name that tells nothing, a LoRA and no wire leave it open', () => {
  assert.equal(compressionOf(chain(loader('unet_name', 'my_merge.safetensors'), {}), {}), null)
  assert.equal(compressionOf(chain({ ...lora }, {}), {}), null)
  assert.equal(compressionOf(chain({}), {}), null)
  const made = chain(loader('ckpt_name', 'ltx-2.3.safetensors'), {}) // by the page, and not put into a graph yet
  made.graph = null
  made.getInputLink = () => assert.fail('the host throws here')
  assert.equal(compressionOf(made, {}), null)
})

test('copies of a subgraph that are wired to one loader have its name, to two loaders none', () => {
  const outside = [loader('unet_name', 'ltxv-13b.safetensors'), loader('unet_name', 'wan2.2.safetensors')]
  const root = { nodes: [], getNodeById: (id) => outside[id] }
  const inside = { inputs: [{ name: 'model' }] }
  const host = (origin_id) => ({
    subgraph: inside, graph: root, inputs: [{ name: 'model' }], isInputConnected: () => true,
    getInputLink: () => ({ origin_id, origin_slot: 0 })
  })
  const node = { ...host(-10), subgraph: undefined, graph: inside }
  root.nodes = [host(0), host(0)]
  assert.equal(compressionOf(node, root), 8)
  root.nodes = [host(0), host(1)]
  assert.equal(compressionOf(node, root), null)
})

test('the timeline counts with it before the first run, and with the run behind it', () => {
  const values = { task: 'image to video', target_frames: 72, condition_latents: -1, buffer_latents: -1, buffer_levels: '' }
  const context = () => ({ type: 'TICFTContext', widgets: Object.entries(values).map(([name, value]) => ({ name, value })) })
  const state = (node, told) => {
    const app = { rootGraph: node.graph, nodeOutputs: told && { [node.id]: { fewshot_timeline: [JSON.stringify(told)] } } }
    node.isInputConnected = (slot) => slot === 0 // the model alone
    return readState(node, app)
  }
  const ltx = () => chain(loader('ckpt_name', 'ltx-2.3.safetensors'), context())
  assert.deepEqual([state(ltx()).sequence.target, state(ltx()).notes], [9, []])
  const unnamed = chain(loader('ckpt_name', 'mine.safetensors'), context())
  assert.equal(state(unnamed).sequence.target, 18)
  assert.deepEqual(state(unnamed).notes, ["A latent counts for 4 frames here; a run shows the model's own number."])
  assert.equal(state(unnamed, { task: 'image to video', compression: 8 }).sequence.target, 9)
  assert.deepEqual(state(unnamed, { task: 'image to video', compression: 8 }).notes, [])
})
