/** The table of clips on Dataset from Folder: joins it to ComfyUI's front end. */

import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'
import { TableView } from './dataset/table_view.js'
import { tableOf } from './lib/dataset_texts.js'
import { executionIds } from './lib/execution_ids.js'
import { outputKey } from './lib/node_inputs.js'
import { addRow } from './lib/node_row.js'
import { element, useSheet } from './panel/elements.js'

const NODE = 'FewShotDatasetFolder'
const OUTPUT = 'fewshot_dataset' // key of what the node tells
const WIDTH = 460 // pixels of a node with a table
const EMPTY = 34 // pixels of the line that stands there before
const HEIGHT = 320 // of the table at least

/** @type {Map<any, TableView>} by their nodes */
const views = new Map()

/** @param {{ filename: string, subfolder: string, type: string }} picture */
function address({ filename, subfolder, type }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`)
}

/** @param {any} node */
function attach(node) {
  const view = new TableView(address)
  const place = element('div', { class: 'fewshot-set-place' }, view.element)
  views.set(node, view)
  let height = EMPTY
  addRow(node, 'dataset_table', 'FEWSHOT_DATASET_TABLE', place, { hideOnZoom: false, getMinHeight: () => height })
  const { onExecuted, onRemoved } = node
  const show = (/** @type {any} */ output) => {
    const table = tableOf(output, OUTPUT)
    if (!table) return
    height = HEIGHT
    place.classList.add('fewshot-set-filled')
    view.show(table)
    node.setSize([Math.max(node.size[0], WIDTH), Math.max(node.size[1], node.computeSize()[1])])
  }
  node.onExecuted = (/** @type {any} */ output, /** @type {any[]} */ ...more) => {
    show(output)
    return onExecuted?.call(node, output, ...more)
  }
  node.onRemoved = (/** @type {any[]} */ ...values) => {
    views.delete(node)
    return onRemoved?.apply(node, values)
  }
  setTimeout(() => node.graph && show(app.nodeOutputs?.[outputKey(node, app.rootGraph)])) // undo makes nodes anew
}

api.addEventListener('execution_error', ({ detail }) => {
  for (const [node, view] of views) {
    if (executionIds(node, app.rootGraph).includes(String(detail?.node_id))) view.clear()
  }
})

useSheet('./dataset_table.css', import.meta.url)
app.registerExtension({
  name: 'FewShotVideo.DatasetTable',
  /** @param {any} node */
  nodeCreated(node) {
    if (node.comfyClass === NODE) attach(node)
  },
})
