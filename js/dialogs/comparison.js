/** Settings of several runs side by side. */

import { TEXTS, compareTitle } from '../lib/command_texts.js'
import { element } from '../panel/elements.js'
import { openDialog } from './dialog.js'

/** @typedef {{ runs: string[], rows: { name: string, values: string[], differ: boolean }[] }} Comparison */

/** @param {Comparison} comparison @param {() => void} back */
export function openComparison({ runs, rows }, back) {
  const head = element('tr', {}, ...[TEXTS.setting, ...runs].map((text) => element('th', { scope: 'col', text })))
  const lines = rows.map(({ name, values, differ }) =>
    element('tr', differ ? { class: 'fewshot-differs' } : {}, element('th', { scope: 'row', text: name }), ...values.map((text) => element('td', { text }))))
  const table = element('table', { class: 'fewshot-table' }, element('thead', {}, head), element('tbody', {}, ...lines))
  const button = element('button', { type: 'button', text: TEXTS.back, onclick: back })
  const body = element('div', { class: 'fewshot-results', tabindex: 0 }, table)
  openDialog(compareTitle(runs.length), TEXTS.close, [element('p', { text: TEXTS.compareSaid }), body], [button])
}
