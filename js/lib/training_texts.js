/** What the training panel says, but in its settings: `registered_texts.js`. The words are in `js/texts`. */

import { EN } from '../texts/en.js'
import { fill, inLanguage } from '../texts/language.js'
import { NONE, duration, isNumber, memory, pace, short } from './amounts.js'

export const TEXTS = inLanguage(EN.training)
const STATES = /** @type {Record<string, string>} */ (inLanguage(EN.states))
const STATE = inLanguage(EN.state)
const STAGES = /** @type {Record<string, string>} */ (inLanguage(EN.stages))

/**
 * Where a run stands, in one line.
 * @param {import('./run_state.js').Summary} run
 */
export function stateLine(run) {
  const state = STATES[run.state] ?? (run.state || STATE.unknown)
  const left = run.live && isNumber(run.seconds_left) ? duration(run.seconds_left) : ''
  const line = fill(left ? TEXTS.lineLeft : TEXTS.line, { state, step: run.step, steps: run.steps, left })
  const place = run.stages.indexOf(run.stage) + 1
  if (run.stages.length < 2 || !place) return line
  return fill(TEXTS.stage, { place, count: run.stages.length, stage: stageName(run.stage), line })
}

/** @param {string} name as the server calls a stage */
export function stageName(name) {
  return STAGES[name] ?? name
}

/**
 * What stopping does to a run that others follow; empty where none does.
 * @param {import('./run_state.js').Summary} run
 */
export function stopHint(run) {
  const next = run.stages[run.stages.indexOf(run.stage) + 1]
  if (!run.live || !run.stage || !next) return ''
  return fill(TEXTS.stopHint, { stop: TEXTS.stop, next: stageName(next) })
}

/**
 * A stage's name, and where its run stands.
 * @param {number} place from 0
 * @param {string} name
 * @param {import('./run_state.js').Summary | undefined} run
 */
export function stageLabel(place, name, run) {
  return `${place + 1} ${stageName(name)}: ${run ? fill(TEXTS.stand, stand(run)) : TEXTS.notBegun}`
}

/**
 * The figures below the state, each a name, a value and what it means.
 * @param {import('./run_state.js').Summary} run
 * @returns {[string, string, string][]}
 */
export function figures(run) {
  return [
    [TEXTS.loss, short(run.loss), TEXTS.lossHelp],
    [TEXTS.smoothed, short(run.smoothed), TEXTS.smoothedHelp],
    [TEXTS.timeLeft, run.live ? duration(run.seconds_left) : NONE, TEXTS.timeLeftHelp],
    [TEXTS.pace, pace(run.seconds_per_step), TEXTS.paceHelp],
    [TEXTS.memory, memory(run.peak_memory), TEXTS.memoryHelp],
    [TEXTS.rate, short(run.learning_rate), TEXTS.rateHelp],
  ]
}

/**
 * How far a run came, each a name and a value, the same names for every run.
 * @param {import('./run_state.js').Summary} run
 * @returns {[string, string][]}
 */
export function outcome(run) {
  return [
    [TEXTS.cameTo, fill(TEXTS.stand, stand(run))],
    [TEXTS.loss, short(run.loss)],
    [TEXTS.smoothed, short(run.smoothed)],
    [TEXTS.pace, pace(run.seconds_per_step)],
    [TEXTS.memory, memory(run.peak_memory)],
  ]
}

/**
 * What lies under the pointer or the arrow keys.
 * @param {number} step
 * @param {[string, number | null | undefined][]} values a label and its value
 */
export function reading(step, values) {
  const parts = values.filter(([, value]) => isNumber(value)).map(([label, value]) => `${label} ${short(value)}`)
  return [previewLabel(step), ...parts].join(' · ')
}

/** @param {number} step */
export function previewLabel(step) {
  return fill(TEXTS.step, { step })
}

/**
 * A line of the list of runs.
 * @param {import('./run_state.js').Summary} run
 */
export function runLine(run) {
  return isNumber(run.smoothed) ? fill(TEXTS.standLoss, { ...stand(run), loss: short(run.smoothed) }) : fill(TEXTS.stand, stand(run))
}

/** @param {import('./run_state.js').Summary} run */
function stand(run) {
  return { state: (STATES[run.state] ?? run.state).toLowerCase(), step: run.step, steps: run.steps }
}

/** @param {string} name */
export function overlayLabel(name) {
  return fill(TEXTS.overlay, { name })
}

/**
 * What a node does before its run begins.
 * @param {[number, number] | null} progress how many clips of how many are encoded
 */
export function preparing(progress) {
  return progress ? fill(TEXTS.preparingPart, { done: progress[0], count: progress[1] }) : TEXTS.preparing
}

/** @param {string} why */
export function notRun(why) {
  return fill(TEXTS.notRun, { why })
}

/** @param {string} why */
export function failed(why) {
  return fill(TEXTS.failed, { why })
}

/** @param {string} why */
export function refused(why) {
  return fill(TEXTS.refused, { why })
}

/** What the server says, as a sentence. @param {string} text */
export function sentence(text) {
  return text && `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}
