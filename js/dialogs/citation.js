/** Text to copy: BibTeX and how the LoRA was made in a line, or the command that trains a run on more cards. */

import { TEXTS, cardsShell, cardsTitle, citeTitle } from '../lib/command_texts.js'
import { element, say } from '../panel/elements.js'
import { openDialog } from './dialog.js'

/** @param {{ title: string, bibtex: string, line: string }} citation */
export function openCitation({ title, bibtex, line }) {
  openText(citeTitle(title), [TEXTS.citeHelp, ...(line ? [line] : [])], bibtex, 16)
}

/** @param {{ title: string, command: string, shell: string }} run `shell`: the only one that takes the command, or '' */
export function openCardsCommand({ title, command, shell }) {
  openText(cardsTitle(title), [TEXTS.cardsHelp, ...(shell ? [cardsShell(shell)] : [])], command, 6)
}

/** @param {string} title @param {string[]} about what the text is, the first its name @param {string} content @param {number} rows */
function openText(title, about, content, rows) {
  const text = element('textarea', { readonly: true, spellcheck: 'false', rows, 'aria-label': about[0] })
  text.value = content
  const answer = element('span', { role: 'status' })
  const copy = element('button', { type: 'button', text: TEXTS.copy, onclick: async () => say(answer, await copied(text)) })
  openDialog(title, TEXTS.close, [...about.map((line) => element('p', { text: line })), text, answer], [copy])
}

/** @param {HTMLTextAreaElement} text @returns {Promise<string>} what to say */
async function copied(text) {
  text.select()
  try {
    await navigator.clipboard.writeText(text.value)
    return TEXTS.copied
  } catch {
    return TEXTS.notCopied // the text is selected
  }
}
