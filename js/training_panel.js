/** The training panel on every node that trains: joins it to ComfyUI's front end. */

import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'
import './timeline.js' // first: its widget stands above the panel
import { executionIds } from './lib/execution_ids.js'
import { outputKey } from './lib/node_inputs.js'
import { REGISTERED } from './lib/registered_texts.js'
import { TRAIN_NODES } from './lib/train_nodes.js'
import { NodePanels } from './panel/node_panels.js'
import { language } from './texts/language.js'

const EVENT = 'fewshot_video.train'
const EXECUTION = ['executing', 'progress', 'execution_error', 'execution_interrupted', 'execution_success']
const REFRESH = 'FewShotVideo.PanelRefresh'
const PREVIEW = 'FewShotVideo.PreviewSize'
const AUTOSAVE = 'FewShotVideo.AutosaveMinutes'
const CATEGORY = REGISTERED.categories.slice(0, 2)

const panels = new NodePanels({
  page: (node) => ({
    fetch: (path, options) => api.fetchApi(path, options),
    address: ({ filename, subfolder, type }) => api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`),
    place: () => ({ ids: executionIds(node, app.rootGraph), workflow: String(app.rootGraph.id ?? '') }),
    interval: () => 1000 / setting(REFRESH, 4),
    autosave: () => setting(AUTOSAVE, 0),
  }),
  // A panel gets its words when it is made, so it takes over none of another language.
  key: (node) => `panel ${language()} ${app.rootGraph.id ?? ''} ${outputKey(node, app.rootGraph)}`,
  previewSize: () => setting(PREVIEW, 128),
})

/** @param {string} id @param {number} otherwise */
function setting(id, otherwise) {
  const value = Number(app.extensionManager.setting.get(id))
  return value > 0 ? value : otherwise
}

api.addEventListener(EVENT, ({ detail }) => panels.hear(detail))
for (const name of EXECUTION) api.addEventListener(name, ({ detail }) => panels.tell(name, detail))
api.addEventListener('reconnected', () => panels.catchUp())

app.registerExtension({
  name: 'FewShotVideo.TrainingPanel',
  settings: [
    {
      id: REFRESH,
      ...REGISTERED.settings[REFRESH],
      category: [...CATEGORY, 'Refresh'],
      type: 'slider',
      attrs: { min: 1, max: 5, step: 1 },
      defaultValue: 4,
    },
    {
      id: AUTOSAVE,
      ...REGISTERED.settings[AUTOSAVE],
      category: [...CATEGORY, 'Autosave'],
      type: 'number',
      attrs: { min: 0, max: 1440, step: 1 },
      defaultValue: 0,
    },
    {
      id: PREVIEW,
      ...REGISTERED.settings[PREVIEW],
      category: [...CATEGORY, 'Preview'],
      type: 'slider',
      attrs: { min: 64, max: 512, step: 16 },
      defaultValue: 128,
      onChange: (/** @type {number} */ width) => panels.setPreviewSize(width),
    },
  ],
  /** @param {any} node */
  nodeCreated(node) {
    if (TRAIN_NODES.includes(node.comfyClass)) panels.attach(node)
  },
})
