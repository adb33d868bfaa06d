/** The training panel on every node that trains: joins `RunFollower` to ComfyUI's front end. */

import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'
import './timeline.js' // first: its widget stands above the panel
import { executionIds } from './lib/execution_ids.js'
import { TRAIN_NODES } from './lib/train_nodes.js'
import { TEXTS } from './lib/training_texts.js'
import { RunFollower } from './panel/run_follower.js'

const EVENT = 'fewshot_video.train'
const REFRESH = 'FewShotVideo.PanelRefresh'
const PREVIEW = 'FewShotVideo.PreviewSize'
const AUTOSAVE = 'FewShotVideo.AutosaveMinutes'
const WIDTH = 380 // pixels of a new node
const HEIGHT = 500 // of the panel at least

/** @type {Set<RunFollower>} */
const followers = new Set()

/** @param {string} id @param {number} otherwise */
function setting(id, otherwise) {
  const value = Number(app.extensionManager.setting.get(id))
  return value > 0 ? value : otherwise
}

/** @param {any} node */
function addPanel(node) {
  const follower = new RunFollower({
    fetch: (path, options) => api.fetchApi(path, options),
    address: ({ filename, subfolder, type }) => api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`),
    place: () => ({ ids: executionIds(node, app.rootGraph), workflow: String(app.rootGraph.id ?? '') }),
    interval: () => 1000 / setting(REFRESH, 4),
    autosave: () => setting(AUTOSAVE, 0),
  })
  followers.add(follower)
  follower.view.setPreviewSize(setting(PREVIEW, 128))
  const widget = node.addDOMWidget('training_panel', 'FEWSHOT_TRAINING_PANEL', follower.view.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => HEIGHT,
  })
  widget.serialize = false
  node.hideOutputImages = true // the panel shows the previews, in Nodes 2.0 …
  node.onDrawBackground = () => {} // … and in classic, where the front end shows them while it draws
  node.setSize([Math.max(node.size[0], WIDTH), Math.max(node.size[1], node.computeSize()[1])])
  const { onExecuted, onRemoved } = node
  node.onExecuted = function (/** @type {any} */ output, /** @type {any[]} */ ...more) {
    follower.executed(output)
    return onExecuted?.call(this, output, ...more)
  }
  node.onRemoved = function (/** @type {any[]} */ ...values) {
    followers.delete(follower)
    follower.destroy()
    return onRemoved?.apply(this, values)
  }
  setTimeout(() => void follower.find()) // when the graph is complete and the node has its id
}

api.addEventListener(EVENT, ({ detail }) => {
  for (const follower of followers) follower.hear(detail)
})
api.addEventListener('reconnected', () => {
  for (const follower of followers) void follower.find().then(() => follower.read())
})

app.registerExtension({
  name: 'FewShotVideo.TrainingPanel',
  settings: [
    {
      id: REFRESH,
      name: TEXTS.settings.refresh,
      tooltip: TEXTS.settings.refreshHelp,
      category: [TEXTS.settings.category, TEXTS.settings.group, 'Refresh'],
      type: 'slider',
      attrs: { min: 1, max: 5, step: 1 },
      defaultValue: 4,
    },
    {
      id: AUTOSAVE,
      name: TEXTS.settings.autosave,
      tooltip: TEXTS.settings.autosaveHelp,
      category: [TEXTS.settings.category, TEXTS.settings.group, 'Autosave'],
      type: 'number',
      attrs: { min: 0, max: 1440, step: 1 },
      defaultValue: 0,
    },
    {
      id: PREVIEW,
      name: TEXTS.settings.preview,
      tooltip: TEXTS.settings.previewHelp,
      category: [TEXTS.settings.category, TEXTS.settings.group, 'Preview'],
      type: 'slider',
      attrs: { min: 64, max: 512, step: 16 },
      defaultValue: 128,
      onChange: (/** @type {number} */ width) => {
        for (const follower of followers) follower.view.setPreviewSize(width)
      },
    },
  ],
  /** @param {any} node */
  nodeCreated(node) {
    if (TRAIN_NODES.includes(node.comfyClass)) addPanel(node)
  },
})
