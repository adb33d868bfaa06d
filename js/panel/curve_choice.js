/** Which curves of a run are drawn, and how: a colour and a pattern each, so that none is marked by colour alone. */

import { isDrawn, line } from '../lib/loss_curves.js'
import { TEXTS } from '../lib/training_texts.js'
import { element } from './elements.js'

/**
 * @typedef {import('../lib/run_state.js').RunState} RunState
 * @typedef {import('./loss_chart.js').Drawn} Drawn
 * @typedef {{ loss: boolean, smoothed: boolean, validation: boolean, buckets: boolean, log: boolean }} Choice
 */

export const DASHES = [[6, 3], [2, 3], [8, 3, 2, 3], [4, 2], [12, 4]]
export const MOST_OVERLAYS = DASHES.length

/** CSS variable of a colour for a run laid over. @param {number} i */
export function overlayColor(i) {
  return `--fewshot-run-${(i % MOST_OVERLAYS) + 1}`
}

/**
 * The lines of a run, and of those laid over it.
 *
 * @param {RunState} run
 * @param {RunState[]} others
 * @param {Choice} choice
 * @returns {Drawn[]}
 */
export function chosenLines(run, others, choice) {
  /** @type {Drawn[]} */
  const lines = []
  if (choice.loss) lines.push({ ...line(run.curve, 'loss'), label: TEXTS.loss, color: '--fewshot-raw', width: 1 })
  if (choice.buckets) {
    run.bucketLabels.forEach((label, i) =>
      lines.push({ ...line(run.curve, label), label: `sigma ${label}`, color: `--fewshot-bucket-${i + 1}`, dash: DASHES[i] }))
  }
  others.forEach((other, i) =>
    lines.push({ ...line(other.curve, 'smoothed'), label: other.label ?? other.name, color: overlayColor(i), dash: DASHES[i % MOST_OVERLAYS] }))
  if (choice.smoothed) lines.push({ ...line(run.curve, 'smoothed'), label: TEXTS.smoothed, color: '--fewshot-smoothed', width: 2 })
  if (choice.validation) {
    const names = Object.keys(run.validation.columns)
    for (const name of names.includes('mean') ? ['mean'] : names) {
      const label = name === 'mean' ? TEXTS.validation : `${TEXTS.validation} ${name}`
      lines.push({ ...line(run.validation, name), label, color: '--fewshot-validation', dash: [5, 4], width: 2, dots: true })
    }
  }
  return lines.filter(isDrawn)
}

export class CurveChoice {
  /** @param {() => void} changed */
  constructor(changed) {
    /** @type {Choice} */
    this.choice = { loss: true, smoothed: true, validation: true, buckets: false, log: false }
    this.levels = element('span', { class: 'fewshot-levels' })
    const box = (/** @type {keyof Choice} */ name, /** @type {string} */ text, /** @type {string} */ help, swatch = '') => {
      const input = element('input', { type: 'checkbox', name })
      input.checked = this.choice[name]
      input.addEventListener('change', () => {
        this.choice[name] = input.checked
        changed()
      })
      return element('label', { title: help }, input, swatch ? this.swatch(swatch) : null, element('span', { text }))
    }
    this.element = element('div', { class: 'fewshot-choice', role: 'group', 'aria-label': TEXTS.show },
      box('loss', TEXTS.loss, '', '--fewshot-raw'),
      box('smoothed', TEXTS.smoothed, '', '--fewshot-smoothed'),
      box('validation', TEXTS.validation, '', '--fewshot-validation'),
      box('buckets', TEXTS.buckets, TEXTS.bucketsHelp),
      box('log', TEXTS.log, TEXTS.logHelp),
      this.levels)
    this.labels = ''
  }

  /** Name the colours of the noise levels while they are drawn. @param {string[]} labels */
  draw(labels) {
    const shown = this.choice.buckets ? labels : []
    if (this.labels === shown.join()) return
    this.labels = shown.join()
    this.levels.replaceChildren(...shown.map((label, i) => element('span', {}, this.swatch(`--fewshot-bucket-${i + 1}`), label)))
  }

  /** @param {string} color */
  swatch(color) {
    const made = element('span', { class: 'fewshot-swatch', 'aria-hidden': 'true' })
    made.style.setProperty('--swatch', `var(${color})`)
    return made
  }
}
