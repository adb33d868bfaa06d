/** Previews of a run as a strip, as its panel shows them. */

import { TEXTS, previewsTitle } from '../lib/command_texts.js'
import { PreviewStrip } from '../panel/preview_strip.js'
import { element, useSheet } from '../panel/elements.js'
import { openDialog } from './dialog.js'

/** @typedef {import('../lib/run_state.js').Sample} Sample */

/**
 * @param {string} name
 * @param {Sample[]} samples by step
 * @param {(sample: Sample) => string} address
 * @param {() => void} back
 */
export function openPreviews(name, samples, address, back) {
  useSheet('../training_panel.css', import.meta.url)
  const strip = new PreviewStrip(address)
  strip.draw(samples)
  const shown = samples.length ? element('div', { class: 'fewshot-panel fewshot-in-dialog' }, strip.element) : element('p', { text: TEXTS.noPreviews })
  openDialog(previewsTitle(name), TEXTS.close, [shown], [element('button', { type: 'button', text: TEXTS.back, onclick: back })])
}
