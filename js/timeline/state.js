// What the timeline shows of a node: its inputs, or the last run's where they are wired, and the sequence they make.

import { compressionOf } from '../lib/model_file.js'
import { isWired, outputKey, readInput } from '../lib/node_inputs.js'
import { TASKS } from '../lib/tic_ft_tasks.js'
import { planSequence } from '../lib/timeline_layout.js'
import { formatLevels } from '../lib/timeline_levels.js'
import { TEXTS, linkedText } from '../lib/timeline_text.js'

export const INPUTS = ['task', 'target_frames', 'condition_latents', 'buffer_latents', 'buffer_levels']
export const FPS = 'fewshot_fps' // property of a node: the rate a user looks at seconds at
const CONDITIONS = ['condition', 'condition_2', 'condition_3', 'condition_4']
const OUTPUT = 'fewshot_timeline' // key of what the nodes tell of a run
const USUAL_FPS = 16

/** What the node sent of its last run; empty before that. */
function lastRun(node, app) {
  const told = app.nodeOutputs?.[outputKey(node, app.rootGraph)]?.[OUTPUT]?.at(-1)
  return told ? JSON.parse(told) : {}
}

/**
 * @param {any} node @param {any} app the host's
 * @returns what `TimelineView.update` draws
 */
export function readState(node, app) {
  const run = lastRun(node, app)
  const inputs = Object.fromEntries(INPUTS.map((name) => [name, readInput(node, name, app.rootGraph)]))
  const compression = run.compression ?? compressionOf(node, app.rootGraph)
  const numbers = { ...numbersOf(node, inputs, run), compression: compression ?? undefined }
  const sequence = planSequence(numbers)
  const wired = INPUTS.filter((name) => inputs[name]?.linked)
  if (inputs.target_frames && isWired(node, 'settings')) wired.push('settings') // the LoRA's counts, for what is -1
  return {
    inputs,
    numbers,
    sequence,
    task: numbers.task,
    tasks: inputs.task?.widget.options?.values ?? Object.keys(TASKS),
    fps: node.properties[FPS] ?? run.fps ?? USUAL_FPS,
    off: {
      task: Boolean(inputs.task?.linked),
      levels: Boolean(inputs.buffer_levels?.linked),
      condition: Boolean(inputs.condition_latents?.linked),
      buffer: Boolean(inputs.buffer_latents?.linked),
      target: Boolean(inputs.target_frames?.linked)
    },
    limits: limitsOf(inputs, numbers),
    step: run.time_patch ?? 1,
    notes: run.task ? [] : notesOf(node, wired, compression)
  }
}

/** What a run will tell. @param {any} node @param {string[]} wired @param {number | null} compression */
function notesOf(node, wired, compression) {
  const unknown = compression === null && isWired(node, 'model') ? TEXTS.compressionOpen : ''
  return [linkedText(wired.map((name) => shownName(node, name))), unknown].filter(Boolean)
}

/** What an input is called on its node, which depends on the language. */
function shownName(node, name) {
  const slot = node.inputs?.find((input) => input.name === name)
  return slot?.label ?? slot?.localized_name ?? name
}

function numbersOf(node, inputs, run) {
  const shown = (name, last) => (inputs[name]?.linked ? (last ?? inputs[name].value) : inputs[name]?.value)
  const isContext = Boolean(inputs.target_frames)
  const levels = run.levels && formatLevels(run.levels)
  const trained = isWired(node, 'settings') ? run.trained : undefined
  const connected = isContext ? CONDITIONS.filter((name) => isWired(node, name)).length : null
  return {
    task: shown('task', run.task),
    condition: shown('condition_latents', run.condition),
    buffer: shown('buffer_latents', run.buffer),
    levels: shown('buffer_levels', levels) ?? '',
    targetFrames: isContext ? shown('target_frames', run.target_frames) : null,
    timePatch: run.time_patch,
    trained: isContext ? trained : { target: run.target },
    connected,
    lengths: run.lengths?.length === connected ? run.lengths : []
  }
}

/** The most latents of each part; null where the node has no input for it. */
function limitsOf(inputs, { compression = 4 }) {
  const most = (name) => inputs[name]?.widget.options?.max ?? 64
  const target = inputs.target_frames ? Math.floor(most('target_frames') / compression) : null
  return { condition: most('condition_latents'), buffer: most('buffer_latents'), target }
}
