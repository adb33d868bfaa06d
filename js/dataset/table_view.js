/** The clips of a data set as a table that scrolls: two small pictures, the caption, and every finding. */

import { NO_PICTURE, TEXTS, findings, summary } from '../lib/dataset_texts.js'
import { element, keepKeys } from '../panel/elements.js'
import { fill } from '../texts/language.js'

export class TableView {
  /** @param {(picture: import('../lib/dataset_texts.js').Picture) => string} address of a picture */
  constructor(address) {
    this.address = address
    this.line = element('p', { class: 'fewshot-set-line', role: 'status', text: TEXTS.none })
    this.body = element('tbody')
    this.table = element('table', { 'aria-label': TEXTS.table, hidden: true },
      element('thead', {}, element('tr', {}, ...[TEXTS.target, TEXTS.condition, TEXTS.clip].map((text) => element('th', { scope: 'col', text })))),
      this.body)
    this.advice = element('ul', { class: 'fewshot-set-advice', 'aria-label': TEXTS.advice })
    this.scroll = element('div', { class: 'fewshot-set-scroll', tabindex: 0, 'data-capture-wheel': 'true' }, this.table, this.advice)
    this.element = element('div', { class: 'fewshot-set' }, this.line, this.scroll)
    this.scroll.addEventListener('wheel', (event) => event.stopPropagation()) // classic; Nodes 2.0 reads the attribute
    keepKeys(this.scroll)
  }

  /** @param {import('../lib/dataset_texts.js').Table} table */
  show(table) {
    this.line.textContent = summary(table)
    this.body.replaceChildren(...table.rows.map((row) => this.row(row)))
    this.advice.replaceChildren(...table.advice.map((text) => element('li', { text })))
    this.table.hidden = false
    this.scroll.scrollTop = 0
  }

  /** Take away what a failed run leaves standing. */
  clear() {
    this.line.textContent = TEXTS.failed
    this.body.replaceChildren()
    this.advice.replaceChildren()
    this.table.hidden = true
  }

  /** @param {import('../lib/dataset_texts.js').Row} row */
  row(row) {
    const list = findings(row).map(({ kind, text }) => element('li', { class: `fewshot-set-${kind}`, text }))
    return element('tr', { class: row.used ? null : 'fewshot-set-out' },
      element('td', {}, this.picture(row.target, fill(TEXTS.targetPicture, row))),
      element('td', {}, this.picture(row.condition, fill(TEXTS.conditionPicture, row))),
      element('td', {},
        element('div', { class: 'fewshot-set-name', text: row.used ? row.name : fill(TEXTS.leftOut, row) }),
        row.facts ? element('div', { class: 'fewshot-set-facts', text: row.facts }) : null,
        row.caption ? element('div', { class: 'fewshot-set-caption', text: row.caption, title: row.caption }) : null,
        list.length ? element('ul', {}, ...list) : null))
  }

  /** @param {import('../lib/dataset_texts.js').Picture | null} picture @param {string} alt */
  picture(picture, alt) {
    if (!picture) return element('span', { class: 'fewshot-set-facts', text: NO_PICTURE })
    return element('img', { src: this.address(picture), alt, loading: 'lazy' })
  }
}
