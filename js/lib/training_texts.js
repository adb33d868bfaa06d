/** Every English text of the training panel, but those of its settings: `registered_texts.js`. */

import { NONE, duration, isNumber, memory, pace, short } from './amounts.js'

export const TEXTS = {
  title: 'Training',
  empty: 'No run yet. Press Run to train; loss and previews appear here.',
  preparing: 'Preparing: clips are encoded before the first step',
  loading: 'Reading the run …',
  unreachable: 'The server does not answer. The panel goes on when it does.',
  unknown: 'This run is no longer known: its folder was moved or deleted.',
  stop: 'Stop and keep',
  stopHelp: 'Ends the run after the step under way. What it has learned so far is saved, and the workflow goes on with it.',
  save: 'Save now',
  saveHelp: 'Saves the state of the run after the step under way, so that it can go on from there.',
  sample: 'Sample now',
  sampleHelp: 'Makes a preview after the step under way. It costs the time of a short sampling.',
  loss: 'loss',
  smoothed: 'smoothed',
  validation: 'validation',
  buckets: 'by noise level',
  bucketsHelp: 'Smoothed loss of each quarter of the noise levels (sigma).',
  log: 'log scale',
  logHelp: 'Draw the loss on a logarithmic scale.',
  show: 'Show curves',
  figures: 'Figures of the run',
  chart: 'Loss over steps. Left and right arrow keys read single steps.',
  previews: 'Previews',
  previewsHelp: 'Choose one preview, or two to compare them.',
  earlier: 'Runs of this node',
  earlierHelp: 'Tick runs to lay their smoothed loss over the curves; press a name to show that run.',
  current: 'shown',
  stages: 'Stages of the training',
  stagesHelp: 'This node trains in stages, one after the other. Press one to show its run.',
  notBegun: 'not begun',
  messages: 'What happened',
}

/** States of a run in the server's words, and in ours. */
const STATES = /** @type {Record<string, string>} */ ({
  running: 'Training',
  finished: 'Finished',
  stopped: 'Stopped',
  cancelled: 'Cancelled',
  failed: 'Failed',
  interrupted: 'Interrupted',
})

/**
 * Where a run stands, in one line.
 * @param {import('./run_state.js').Summary} run
 */
export function stateLine(run) {
  const state = STATES[run.state] ?? (run.state || 'Unknown')
  const left = run.live && isNumber(run.seconds_left) ? `, ${duration(run.seconds_left)} left` : ''
  const place = run.stages.indexOf(run.stage) + 1
  const stage = run.stages.length > 1 && place ? `Stage ${place} of ${run.stages.length} (${run.stage}). ` : ''
  return `${stage}${state}: step ${run.step} of ${run.steps}${left}`
}

/**
 * What stopping does to a run that others follow; empty where none does.
 * @param {import('./run_state.js').Summary} run
 */
export function stopHint(run) {
  const next = run.stages[run.stages.indexOf(run.stage) + 1]
  if (!run.live || !run.stage || !next) return ''
  return `“${TEXTS.stop}” ends this stage; ${next} then begins with what it has learned. Cancel the workflow to end both.`
}

/**
 * A stage's name, and where its run stands.
 * @param {number} place from 0
 * @param {string} name
 * @param {import('./run_state.js').Summary | undefined} run
 */
export function stageLabel(place, name, run) {
  return `${place + 1} ${name}: ${run ? stand(run) : TEXTS.notBegun}`
}

/**
 * The figures below the state, each a name, a value and what it means.
 * @param {import('./run_state.js').Summary} run
 * @returns {[string, string, string][]}
 */
export function figures(run) {
  return [
    ['loss', short(run.loss), 'Mean squared error of the last step'],
    ['smoothed', short(run.smoothed), 'Mean loss of about the last 30 steps'],
    ['time left', run.live ? duration(run.seconds_left) : NONE, 'Estimated from the last steps, saving and previews included'],
    ['per step', pace(run.seconds_per_step), 'Median of the last 50 steps'],
    ['peak memory', memory(run.peak_memory), 'Most memory in use since the run began: of the GPU, or of the process on a CPU'],
    ['learning rate', short(run.learning_rate), 'Of the last step'],
  ]
}

/**
 * What lies under the pointer or the arrow keys.
 * @param {number} step
 * @param {[string, number | null | undefined][]} values a label and its value
 */
export function reading(step, values) {
  const parts = values.filter(([, value]) => isNumber(value)).map(([label, value]) => `${label} ${short(value)}`)
  return [`step ${step}`, ...parts].join(' · ')
}

/** @param {number} step */
export function previewLabel(step) {
  return `step ${step}`
}

/**
 * A line of the list of runs.
 * @param {import('./run_state.js').Summary} run
 */
export function runLine(run) {
  return stand(run) + (isNumber(run.smoothed) ? `, loss ${short(run.smoothed)}` : '')
}

/** @param {import('./run_state.js').Summary} run */
function stand(run) {
  return `${(STATES[run.state] ?? run.state).toLowerCase()} at ${run.step} of ${run.steps}`
}

/** @param {string} name */
export function overlayLabel(name) {
  return `Lay the loss of ${name} over the curves`
}

/**
 * What a node does before its run begins.
 * @param {[number, number] | null} progress how many clips of how many are encoded
 */
export function preparing(progress) {
  return progress ? `${TEXTS.preparing}, ${progress[0]} of ${progress[1]}` : TEXTS.preparing
}

/** @param {string} why */
export function notRun(why) {
  return `Not run: ${why}`
}

/** @param {string} why */
export function failed(why) {
  return `${STATES.failed}: ${why}`
}

/** @param {string} why */
export function refused(why) {
  return `That did not work: ${why}`
}

/** What the server says, as a sentence. @param {string} text */
export function sentence(text) {
  return text && `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}
