/** The list of what has been trained: names, and of runs their settings side by side and their previews. */

import { TEXTS, groupTitle, more, stoppedName, tickLabel } from '../lib/command_texts.js'
import { element } from '../panel/elements.js'
import { openDialog } from './dialog.js'

/**
 * @typedef {{ title: string, names: string[], stopped?: string[], runs?: string[], more: number }} Group
 * @typedef {{ compare: (ids: string[]) => void, previews: (id: string, name: string) => void }} Actions
 */

const MOST = 6 // runs that are compared, as on the server

/** @param {Group[]} groups @param {Actions} actions */
export function openResults(groups, actions) {
  const shown = groups.filter((group) => group.names.length)
  const button = element('button', { type: 'button', text: TEXTS.compare, title: TEXTS.compareHelp, disabled: true,
    onclick: () => actions.compare([...ticked]) })
  /** @type {Set<string>} */
  const ticked = new Set()
  /** @param {string} id @param {boolean} on */
  const tick = (id, on) => {
    if (on) ticked.add(id)
    else ticked.delete(id)
    button.disabled = ticked.size < 2 || ticked.size > MOST
  }
  const lists = shown.map((group) => section(group, (name, i) => entry(group, name, i, tick, actions)))
  const body = element('div', { class: 'fewshot-results', tabindex: 0 }, ...lists)
  const runs = shown.some((group) => group.runs?.length)
  const help = [element('p', { text: shown.length ? TEXTS.listHelp : TEXTS.nothing }), runs ? element('p', { text: TEXTS.compareHelp }) : null]
  openDialog(TEXTS.listTitle, TEXTS.close, [...help.filter((part) => part !== null), body], runs ? [button] : [])
}

/** @param {Group} group @param {(name: string, place: number) => HTMLElement} item */
function section(group, item) {
  return element('section', {}, element('h3', { text: groupTitle(group.title) }), element('ul', {},
    ...group.names.map(item), group.more ? element('li', { class: 'fewshot-more', text: more(group.more) }) : null))
}

/**
 * @param {Group} group @param {string} name @param {number} place
 * @param {(id: string, on: boolean) => void} tick @param {Actions} actions
 */
function entry(group, name, place, tick, actions) {
  const text = group.stopped?.includes(name) ? stoppedName(name) : name
  const id = group.runs?.[place]
  if (!id) return element('li', { text })
  const box = element('input', { type: 'checkbox', 'aria-label': tickLabel(name) })
  box.addEventListener('change', () => tick(id, box.checked))
  const open = element('button', { type: 'button', class: 'fewshot-small', text: TEXTS.previews, onclick: () => actions.previews(id, name) })
  return element('li', { class: 'fewshot-run' }, box, element('span', { text }), open)
}
