/** Settings of several runs side by side, below how far each came. */

import { TEXTS, compareTitle } from '../lib/command_texts.js'
import { summaryOf } from '../lib/run_state.js'
import { outcome } from '../lib/training_texts.js'
import { element } from '../panel/elements.js'
import { openDialog } from './dialog.js'

/** @typedef {{ name: string, values: string[], differ?: boolean }} Row */
/** @typedef {{ runs: string[], outcomes: Record<string, any>[], rows: Row[] }} Comparison */

/** @param {Comparison} comparison @param {() => void} back */
export function openComparison({ runs, outcomes, rows }, back) {
  const head = element('tr', {}, ...[TEXTS.setting, ...runs].map((text) => element('th', { scope: 'col', text })))
  const table = element('table', { class: 'fewshot-table' }, element('thead', {}, head),
    element('tbody', {}, ...cameTo(outcomes).map(line)), element('tbody', {}, ...rows.map(line)))
  const button = element('button', { type: 'button', text: TEXTS.back, onclick: back })
  const body = element('div', { class: 'fewshot-results', tabindex: 0 }, table)
  openDialog(compareTitle(runs.length), TEXTS.close, [element('p', { text: TEXTS.compareSaid }), body], [button])
}

/** @param {Record<string, any>[]} outcomes of the runs @returns {Row[]} */
function cameTo(outcomes) {
  const found = outcomes.map((one) => outcome(summaryOf(one)))
  return found[0].map(([name], place) => ({ name, values: found.map((figures) => figures[place][1]) }))
}

/** @param {Row} row */
function line({ name, values, differ }) {
  return element('tr', differ ? { class: 'fewshot-differs' } : {}, element('th', { scope: 'row', text: name }),
    ...values.map((text) => element('td', { text })))
}
