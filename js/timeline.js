// The timeline on TIC-FT Context and TIC-FT Train: it shows the inputs of its node, and sets them.

import { api } from '../../scripts/api.js'
import { app } from '../../scripts/app.js'
import { addRow } from './lib/node_row.js'
import { editsOf } from './timeline/edits.js'
import { INPUTS, readState } from './timeline/state.js'
import { TimelineView } from './timeline/view.js'

const NODES = ['TICFTContext', 'TICFTTrain']
const HEIGHT = 216 // of the widget at least
const WIDTH = 340 // of the node at least

app.registerExtension({
  name: 'FewShotVideo.Timeline',
  nodeCreated(node) {
    if (NODES.includes(node.comfyClass)) attach(node)
  }
})

function attach(node) {
  const read = () => readState(node, app)
  const refresh = () => view.update(read())
  const view = new TimelineView(editsOf(node, read, { refresh, capture }))
  addRow(node, 'timeline', 'FEWSHOT_TIMELINE', view.element, { getMinHeight: () => HEIGHT })
  for (const name of INPUTS) {
    const input = node.widgets.find((one) => one.name === name)
    if (input) chain(input, 'callback', refresh)
  }
  chain(node, 'onConfigure', () => {
    fit(node)
    refresh()
  })
  for (const event of ['onExecuted', 'onConnectionsChange']) chain(node, event, () => queueMicrotask(refresh))
  const seen = new ResizeObserver(refresh) // also when a subgraph is opened
  seen.observe(view.element)
  api.addEventListener('graphChanged', refresh)
  chain(node, 'onRemoved', () => {
    seen.disconnect()
    api.removeEventListener('graphChanged', refresh)
  })
  fit(node)
  refresh()
}

/** Call something after a method of an object, whatever that was. */
function chain(object, method, after) {
  const before = object[method]
  object[method] = function (...args) {
    const result = before?.apply(this, args)
    after()
    return result
  }
}

function fit(node) {
  const [width, height] = node.computeSize()
  node.setSize([Math.max(node.size[0], width, WIDTH), Math.max(node.size[1], height)])
}

/** Let the host see the change, for undo and for the mark of unsaved changes. */
function capture() {
  app.extensionManager.workflow?.activeWorkflow?.changeTracker?.captureCanvasState?.()
}
