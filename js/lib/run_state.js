/** What a page knows of a run: the history route's table, kept up to date by events. */

import { isNumber } from './amounts.js'
import { addPoint, curveOf } from './loss_curves.js'

/**
 * @typedef {{ step: number, filename: string, subfolder: string, type: string }} Sample
 * @typedef {{ step: number, kind: string, text: string }} Note
 * @typedef {import('./loss_curves.js').Curve} Curve
 * @typedef {{
 *   run: string, name: string, node: string, workflow: string, state: string, text: string, live: boolean,
 *   stage: string, stages: string[], follows: string,
 *   step: number, steps: number, skipped: number, began: number | null,
 *   loss: number | null, smoothed: number | null, learning_rate: number | null,
 *   seconds_per_step: number | null, seconds_left: number | null, peak_memory: number | null,
 * }} Summary `stages`: names of all runs that the node makes one after the other; `follows`: id of the one before
 * @typedef {Summary & {
 *   curve: Curve, validation: Curve, bucketLabels: string[], samples: Sample[], notes: Note[], gaps: boolean,
 *   label?: string,
 * }} RunState `gaps`: the table knows more than events have told; `label`: what its curve is called beside others
 */

const NUMBERS = /** @type {const} */ (['loss', 'smoothed', 'learning_rate', 'seconds_per_step', 'seconds_left', 'peak_memory'])
const NOTES = 100 // the last ones, as on the server
const SAMPLES = 60

/**
 * The few values that say where a run stands, whatever came.
 *
 * @param {Record<string, any>} data an event, an entry of the list or a table
 * @returns {Summary}
 */
export function summaryOf(data) {
  const text = (/** @type {string} */ name) => (typeof data[name] === 'string' ? data[name] : '')
  const number = (/** @type {string} */ name) => (isNumber(data[name]) ? data[name] : null)
  return {
    run: text('run'), name: text('name'), node: text('node'), workflow: text('workflow'), state: text('state'),
    stage: text('stage'), stages: text('stages').split(', ').filter(Boolean), follows: text('follows'),
    text: text('text'), live: data.live === true, step: number('step') ?? 0, steps: number('steps') ?? 0,
    skipped: number('skipped') ?? 0, began: number('began'), loss: number('loss'), smoothed: number('smoothed'),
    learning_rate: number('learning_rate'), seconds_per_step: number('seconds_per_step'),
    seconds_left: number('seconds_left'), peak_memory: number('peak_memory'),
  }
}

/**
 * @param {Record<string, any>} table of the history route
 * @returns {RunState}
 */
export function runOf(table) {
  return {
    ...summaryOf(table),
    curve: curveOf(table.curve),
    validation: curveOf(table.validation),
    bucketLabels: list(table.bucket_labels).filter((label) => typeof label === 'string'),
    samples: list(table.samples).filter(isSample),
    notes: list(table.notes).filter((note) => note && typeof note.text === 'string'),
    gaps: false,
  }
}

/**
 * Take an event in. One of an earlier step adds nothing to the curves: it was sent before the table was read, or the
 * run went back, which the table tells when it is read again.
 *
 * @param {RunState} run changed in place
 * @param {Record<string, any>} event
 */
export function takeEvent(run, event) {
  const { began: _, ...summary } = summaryOf(event)
  const news = event.news ?? {}
  if (news.step) {
    const last = run.curve.steps.at(-1) ?? 0
    run.gaps ||= summary.step > last + 1 || summary.step < last
    if (summary.step > last) {
      addPoint(run.curve, summary.step, { loss: event.loss, smoothed: event.smoothed, learning_rate: event.learning_rate })
    }
  }
  if (news.validation && typeof news.validation === 'object') addPoint(run.validation, summary.step, news.validation)
  else if (news.validation) run.gaps = true
  if (isSample({ step: 0, ...news.sample })) takeSample(run, { ...news.sample, step: summary.step })
  else if (news.sample) run.gaps = true
  if (summary.text && !run.notes.at(-1)?.text.startsWith(summary.text)) { // a long text may come shortened
    run.notes.push({ step: summary.step, kind: Object.keys(news)[0] ?? '', text: summary.text })
    run.notes.splice(0, run.notes.length - NOTES)
  }
  for (const name of NUMBERS) summary[name] ??= run[name]
  Object.assign(run, summary)
}

/** @param {RunState} run @param {Sample} sample */
function takeSample(run, sample) {
  const step = stepOf(sample.filename) ?? sample.step
  run.samples = [...run.samples.filter((other) => other.step < step), { ...sample, step }].slice(-SAMPLES)
}

/** The step in a preview's file name: an event may be told some steps after its preview. @param {string} filename */
function stepOf(filename) {
  const found = /(\d+)\.\w+$/.exec(filename)
  return found ? Number(found[1]) : null
}

/** @param {any} sample @returns {sample is Sample} */
function isSample(sample) {
  return Boolean(sample) && isNumber(sample.step) && ['filename', 'subfolder', 'type'].every((name) => typeof sample[name] === 'string')
}

/** @param {unknown} value @returns {any[]} */
function list(value) {
  return Array.isArray(value) ? value : []
}

/**
 * Whether a run was started by a node. Two workflows may both have a node 4, so their ids are compared where both
 * are known.
 *
 * @param {{ node: string, workflow: string }} run
 * @param {string[]} ids execution ids of the node
 * @param {string} workflow id of the workflow that is open
 */
export function belongs(run, ids, workflow) {
  return ids.includes(run.node) && (!run.workflow || !workflow || run.workflow === workflow)
}

/**
 * So many of a list, evenly spread, its first and last among them.
 *
 * @template T
 * @param {T[]} items
 * @param {number} most
 * @returns {T[]}
 */
export function spread(items, most) {
  if (items.length <= most) return [...items]
  return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / Math.max(1, most - 1))])
}
