/** A dialog of the pack: a title, what is in it, and buttons. The browser's own, so that Escape and the focus work. */

import { element, useSheet } from '../panel/elements.js'

/**
 * @param {string} title
 * @param {string} close the text of the button that closes it
 * @param {Node[]} content
 * @param {HTMLButtonElement[]} [buttons] before that one
 * @returns {HTMLDialogElement} it is open
 */
export function openDialog(title, close, content, buttons = []) {
  useSheet('../commands.css', import.meta.url)
  const heading = element('h2', { text: title, id: 'fewshot-dialog-title' })
  const dialog = element('dialog', { class: 'fewshot-dialog', 'aria-labelledby': heading.id },
    heading, ...content, element('footer', {}, ...buttons, element('button', { type: 'button', text: close, onclick: () => dialog.close() })))
  dialog.addEventListener('close', () => dialog.remove())
  // The graph behind has keys of its own, and takes what is pasted.
  for (const kind of ['keydown', 'paste']) dialog.addEventListener(kind, (event) => event.stopPropagation())
  document.querySelector('.fewshot-dialog')?.remove() // one at a time
  document.body.append(dialog)
  dialog.showModal()
  return dialog
}
