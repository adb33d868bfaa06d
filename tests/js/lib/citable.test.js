import assert from 'node:assert/strict'
import { test } from 'node:test'
import { citableOf } from '../../../js/lib/citable.js'

/** A node with widgets, of which some are wired. */
function node(comfyClass, values = {}, wired = []) {
  const widgets = Object.entries(values).map(([name, value]) => ({ name, value }))
  const inputs = Object.keys(values).map((name) => ({ name, widget: { name } }))
  const isInputConnected = (/** @type {number} */ slot) => wired.includes(inputs[slot].name)
  return { comfyClass, widgets, inputs, graph: {}, isInputConnected, getInputLink: () => ({ origin_id: 7, origin_slot: 0 }) }
}

test('a loader is cited by its file, and by its method where the file says nothing', () => {
  assert.deepEqual(citableOf(node('TICFTLoadLoRA', { lora_name: 'a/b.safetensors', strength: 1 }), {}), {
    method: 'tic_ft', folder: 'loras', name: 'a/b.safetensors', run: '',
  })
  assert.deepEqual(citableOf(node('AICLLoad', { name: 'x.safetensors' }), {}), { method: 'aicl', folder: 'aicl', name: 'x.safetensors', run: '' })
  assert.deepEqual(citableOf(node('LoraLoaderModelOnly', { lora_name: 'c.safetensors' }), {}), {
    method: '', folder: 'loras', name: 'c.safetensors', run: '',
  })
})

test('a train node is cited by its run', () => {
  assert.deepEqual(citableOf(node('FewShotMotionTrain', { rank: 4 }), {}, 'ab12'), { method: 'motion', folder: '', name: '', run: 'ab12' })
})

test('nodes of one-shot motion are cited with the file they load, or with the method', () => {
  const loaded = { method: 'motion', folder: 'loras', name: 'm.safetensors', run: '' }
  assert.deepEqual(citableOf(node('FewShotMotionLoad', { lora_name: 'm.safetensors' }), {}), loaded)
  assert.deepEqual(citableOf(node('FewShotMotionApply', { strength: 1 }), {}), { method: 'motion', folder: '', name: '', run: '' })
})

test('of a file that comes over a wire only the method is known', () => {
  const wired = (kind) => citableOf(node(kind, { lora_name: 'old.safetensors' }, ['lora_name']), {})
  assert.deepEqual(wired('TICFTLoadLoRA'), { method: 'tic_ft', folder: '', name: '', run: '' })
  assert.equal(wired('LoraLoaderModelOnly'), null)
})

test('other nodes have nothing to cite', () => {
  assert.equal(citableOf(node('KSampler', { seed: 1 }), {}), null)
  assert.equal(citableOf({ comfyClass: 'Note' }, {}), null)
})
