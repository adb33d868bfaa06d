/** What the pack's commands say, but their labels: `registered_texts.js`. The words are in `js/texts`. */

import { EN } from '../texts/en.js'
import { fill, inLanguage } from '../texts/language.js'

export const PACK = 'FewShot Video' // in every language
export const TEXTS = inLanguage(EN.commands)
const GROUPS = /** @type {Record<string, string>} */ (inLanguage(EN.groups))

/** @param {string} title of a method */
export function citeTitle(title) {
  return fill(TEXTS.citeTitle, { title })
}

/** @param {string} title of a run */
export function cardsTitle(title) {
  return fill(TEXTS.cardsTitle, { title })
}

/** @param {string} shell the only one that takes a command */
export function cardsShell(shell) {
  return fill(TEXTS.cardsShell, { shell })
}

/** @param {number} count */
export function more(count) {
  return fill(TEXTS.more, { count })
}

/** @param {string} name of what a stopped run has left */
export function stoppedName(name) {
  return fill(TEXTS.stopped, { name })
}

/** @param {string} name of a run */
export function tickLabel(name) {
  return fill(TEXTS.tick, { name })
}

/** @param {string} name of a run */
export function previewsTitle(name) {
  return fill(TEXTS.previewsOf, { name })
}

/** @param {number} count of runs */
export function compareTitle(count) {
  return fill(TEXTS.compareTitle, { count })
}

/** @param {string} title as the server calls a group of what has been trained */
export function groupTitle(title) {
  return GROUPS[title] ?? title
}
