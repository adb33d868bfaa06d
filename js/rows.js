// Keeps the pack's rows in their own nodes: after undo, and where a subgraph is opened or left.

import { app } from '../../scripts/app.js'
import { showOwnRows } from './lib/node_row.js'

const LATER = [0, 100, 500] // milliseconds until the page may have drawn a node

function soon() {
  for (const delay of LATER) setTimeout(() => showOwnRows(app.canvas?.graph), delay)
}

app.registerExtension({
  name: 'FewShotVideo.Rows',
  setup: () => app.canvas.canvas.addEventListener('litegraph:set-graph', soon),
  nodeCreated: (node) => {
    if (String(node.comfyClass).match(/^(FewShot|TICFT|AICL|TuneAVideo)/)) soon()
  },
})
