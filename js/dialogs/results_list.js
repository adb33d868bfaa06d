/** The list of what has been trained: names only. */

import { TEXTS, groupTitle, more } from '../lib/command_texts.js'
import { element } from '../panel/elements.js'
import { openDialog } from './dialog.js'

/** @typedef {{ title: string, names: string[], more: number }} Group */

/** @param {Group[]} groups */
export function openResults(groups) {
  const shown = groups.filter((group) => group.names.length)
  const lists = shown.map((group) =>
    element('section', {}, element('h3', { text: groupTitle(group.title) }), element('ul', {},
      ...group.names.map((name) => element('li', { text: name })),
      group.more ? element('li', { class: 'fewshot-more', text: more(group.more) }) : null)))
  const body = element('div', { class: 'fewshot-results', tabindex: 0 }, ...lists)
  openDialog(TEXTS.listTitle, TEXTS.close, [element('p', { text: shown.length ? TEXTS.listHelp : TEXTS.nothing }), body])
}
