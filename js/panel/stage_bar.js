/** Stages of a training that is made of several runs: which there are, and which one is shown. */

import { TEXTS, stageLabel } from '../lib/training_texts.js'
import { element, say } from './elements.js'

/** @typedef {import('../lib/stages.js').Stage} Stage */

export class StageBar {
  /** @param {(id: string) => void} show */
  constructor(show) {
    this.show = show
    this.element = element('div', { class: 'fewshot-stages', role: 'group', 'aria-label': TEXTS.stages, title: TEXTS.stagesHelp, hidden: true })
    /** @type {HTMLButtonElement[]} */
    this.buttons = []
    /** @type {Stage[]} */
    this.stages = []
  }

  /**
   * @param {Stage[]} stages
   * @param {string} current id of the run that is shown
   * @param {Record<string, string>} colors CSS variable of each run that is laid over
   */
  draw(stages, current, colors) {
    this.stages = stages
    this.element.hidden = !stages.length
    if (this.buttons.length !== stages.length) {
      this.buttons = stages.map((_, i) => element('button', { type: 'button', onclick: () => this.press(i) },
        element('span', { class: 'fewshot-swatch', 'aria-hidden': 'true' }), element('span')))
      this.element.replaceChildren(...this.buttons)
    }
    stages.forEach(({ name, run }, i) => {
      const button = this.buttons[i]
      const [swatch, label] = /** @type {HTMLElement[]} */ ([...button.children])
      const color = colors[run?.run ?? '']
      swatch.hidden = !color
      if (color) swatch.style.setProperty('--swatch', `var(${color})`)
      say(label, stageLabel(i, name, run))
      button.disabled = !run
      button.setAttribute('aria-pressed', String(run?.run === current))
      button.dataset.live = String(Boolean(run?.live))
    })
  }

  /** @param {number} place */
  press(place) {
    const run = this.stages[place]?.run
    if (run) this.show(run.run)
  }
}
