/** What is cited for a node: the file it loads, the run it has trained, or the method it is of. */

import { readInput } from './node_inputs.js'

/** @typedef {{ method: string, folder: string, name: string, run: string }} Asked of the server; each may be empty */

/** @type {Record<string, { method?: string, folder?: string, input?: string }>} */
const NODES = {
  TICFTTrain: { method: 'tic_ft' },
  TICFTContext: { method: 'tic_ft' },
  TICFTCrop: { method: 'tic_ft' },
  TICFTPrompt: { method: 'tic_ft' },
  TICFTLoadLoRA: { method: 'tic_ft', folder: 'loras', input: 'lora_name' },
  AICLTrain: { method: 'aicl' },
  AICLEncodeAction: { method: 'aicl' },
  AICLApply: { method: 'aicl' },
  AICLLoad: { method: 'aicl', folder: 'aicl', input: 'name' },
  TuneAVideoTrain: { method: 'tune_a_video' },
  TuneAVideoApply: { method: 'tune_a_video' },
  TuneAVideoLoad: { method: 'tune_a_video', folder: 'tune_a_video', input: 'name' },
  FewShotMotionTrain: { method: 'motion' },
  FewShotMotionApply: { method: 'motion' },
  FewShotMotionLoad: { method: 'motion', folder: 'loras', input: 'lora_name' },
}
const ANY = { folder: 'loras', input: 'lora_name' } // other loaders, the host's among them

/**
 * @param {any} node
 * @param {any} root the workflow's outermost graph
 * @param {string} run id of the run that the node shows; empty for none
 * @returns {Asked | null} null where there is nothing to cite
 */
export function citableOf(node, root, run = '') {
  const { method = '', folder = '', input = '' } = NODES[node.comfyClass] ?? ANY
  const found = input ? readInput(node, input, root) : null
  const name = found && !found.linked && typeof found.value === 'string' ? found.value : ''
  return method || name ? { method, folder: name ? folder : '', name, run } : null
}
