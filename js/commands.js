/** Commands of the pack, in ComfyUI's menu; one has a key, and keys of all can be set in its settings. */

import { api } from '../../scripts/api.js'
import { app } from '../../scripts/app.js'
import { openCardsCommand, openCitation } from './dialogs/citation.js'
import { openComparison } from './dialogs/comparison.js'
import { openPreviews } from './dialogs/previews.js'
import { openResults } from './dialogs/results_list.js'
import { citableOf } from './lib/citable.js'
import { PACK, TEXTS } from './lib/command_texts.js'
import { FIRST_RUN, packFolder } from './lib/first_run.js'
import { REGISTERED } from './lib/registered_texts.js'
import { runOf } from './lib/run_state.js'
import { sentence } from './lib/training_texts.js'

const RESULTS = '/fewshot_video/results'
const CITATION = '/fewshot_video/citation'
const COMPARISON = '/fewshot_video/comparison'
const RUNS = '/fewshot_video/runs'

app.registerExtension({
  name: 'FewShotVideo.Commands',
  commands: [
    command('FewShotVideo.FirstRun', 'pi pi-play', openFirstRun),
    command('FewShotVideo.ListResults', 'pi pi-list', listResults),
    command('FewShotVideo.Cite', 'pi pi-book', citeSelected),
    command('FewShotVideo.MoreCards', 'pi pi-copy', showCardsCommand),
  ],
  keybindings: [{ commandId: 'FewShotVideo.FirstRun', combo: { key: 'f', ctrl: true, shift: true } }],
  menuCommands: [{ path: [PACK], commands: Object.keys(REGISTERED.menu) }],
})

/** @param {keyof typeof REGISTERED.commands} id @param {string} icon @param {() => Promise<void>} run */
function command(id, icon, run) {
  return { id, ...REGISTERED.commands[id], menubarLabel: REGISTERED.menu[id], icon, function: () => void run() }
}

/** Open the workflow that a newcomer runs first, as the template browser does. */
async function openFirstRun() {
  const file = [packFolder(import.meta.url), `${FIRST_RUN}.json`].map(encodeURIComponent).join('/')
  const graph = await ask(`/workflow_templates/${file}`)
  if (graph) await app.loadGraphData(graph, true, true, FIRST_RUN, { openSource: 'template' })
}

async function listResults() {
  const answer = await ask(RESULTS)
  if (answer) openResults(answer.groups, { compare, previews })
}

/** @param {string[]} ids of runs */
async function compare(ids) {
  const answer = await ask(`${COMPARISON}?${new URLSearchParams(ids.map((id) => ['run', id]))}`)
  if (answer) openComparison(answer, () => void listResults())
}

/** @param {string} id of a run @param {string} name */
async function previews(id, name) {
  const answer = await ask(`${RUNS}/${encodeURIComponent(id)}`)
  if (answer) openPreviews(name, runOf(answer).samples, viewAddress, () => void listResults())
}

/** @param {import('./lib/run_state.js').Sample} sample */
function viewAddress({ filename, subfolder, type }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`)
}

async function citeSelected() {
  const nodes = Object.values(app.canvas.selected_nodes ?? {})
  const asked = nodes.length === 1 ? citableOf(nodes[0], app.rootGraph, shownRun(nodes[0])) : null
  if (!asked) return warn(TEXTS.choose)
  const answer = await ask(`${CITATION}?${new URLSearchParams(asked)}`)
  if (answer) openCitation(answer)
}

async function showCardsCommand() {
  const nodes = Object.values(app.canvas.selected_nodes ?? {})
  const run = nodes.length === 1 ? shownRun(nodes[0]) : ''
  if (!run) return warn(TEXTS.chooseTrain)
  const answer = await ask(`${RUNS}/${encodeURIComponent(run)}/more_cards`)
  if (answer) openCardsCommand(answer)
}

/** Id of the run that a node's training panel shows. @param {any} node */
function shownRun(node) {
  const panel = node.widgets?.find((/** @type {any} */ widget) => widget.name === 'training_panel')?.element
  return panel?.querySelector('.fewshot-panel')?.dataset.run ?? ''
}

/** The JSON of an answer; what went wrong is said, and there is none. @param {string} path */
async function ask(path) {
  try {
    const answer = await (await api.fetchApi(path)).json()
    if (!answer.error) return answer
    warn(sentence(String(answer.error)))
  } catch {
    warn(TEXTS.unreachable)
  }
  return null
}

/** @param {string} text one sentence: what is the matter and what to do */
function warn(text) {
  app.extensionManager.toast.add({ severity: 'warn', summary: PACK, detail: text, life: 10000 })
}
