/** How to cite: BibTeX to copy, and how the LoRA was made in a line. */

import { TEXTS, citeTitle } from '../lib/command_texts.js'
import { element, say } from '../panel/elements.js'
import { openDialog } from './dialog.js'

/** @param {{ title: string, bibtex: string, line: string }} citation */
export function openCitation({ title, bibtex, line }) {
  const text = element('textarea', { readonly: true, spellcheck: 'false', rows: 16, 'aria-label': TEXTS.citeHelp })
  text.value = bibtex
  const answer = element('span', { role: 'status' })
  const copy = element('button', { type: 'button', text: TEXTS.copy, onclick: async () => say(answer, await copied(text)) })
  const made = line ? [element('p', { text: line })] : []
  openDialog(citeTitle(title), TEXTS.close, [element('p', { text: TEXTS.citeHelp }), ...made, text, answer], [copy])
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
