/** Previews of a run: a strip of all, and one or two of them large to compare. */

import { spread } from '../lib/run_state.js'
import { TEXTS, previewLabel } from '../lib/training_texts.js'
import { element } from './elements.js'

/** @typedef {import('../lib/run_state.js').Sample} Sample */

const SHOWN = 12 // evenly spread over the run
const STILL = matchMedia('(prefers-reduced-motion: reduce)')

export class PreviewStrip {
  /** @param {(sample: Sample) => string} address of a preview's file */
  constructor(address) {
    this.address = address
    this.strip = element('div', { class: 'fewshot-strip', role: 'group', 'aria-label': TEXTS.previewsHelp, title: TEXTS.previewsHelp })
    this.chosen = element('div', { class: 'fewshot-chosen' })
    this.element = element('section', { class: 'fewshot-previews', 'aria-label': TEXTS.previews, hidden: true }, this.chosen, this.strip)
    /** @type {number[]} */
    this.picked = []
    this.follow = true // show the newest until somebody chooses
    this.drawn = ''
    /** @type {Sample[]} */
    this.samples = []
  }

  /** @param {Sample[]} samples of one run, by step */
  draw(samples) {
    const steps = new Set(samples.map((sample) => sample.step))
    this.picked = this.picked.filter((step) => steps.has(step))
    this.follow ||= !this.picked.length
    const shown = spread(samples, SHOWN)
    for (const step of this.picked) {
      const sample = samples.find((other) => other.step === step)
      if (sample && !shown.includes(sample)) shown.push(sample)
    }
    this.samples = shown.sort((a, b) => a.step - b.step)
    if (this.follow && samples.length) this.picked = [samples[samples.length - 1].step]
    this.render()
  }

  /** Forget what was chosen: another run is shown. */
  reset() {
    this.picked = []
    this.follow = true
  }

  /** @param {number} step */
  toggle(step) {
    this.follow = false
    this.picked = this.picked.includes(step) ? this.picked.filter((other) => other !== step) : [...this.picked, step].slice(-2)
    this.render()
  }

  render() {
    const wanted = JSON.stringify([this.samples, this.picked])
    if (wanted === this.drawn) return
    this.drawn = wanted
    this.element.hidden = !this.samples.length
    const focused = this.strip.contains(document.activeElement) ? document.activeElement?.getAttribute('data-step') : null
    this.strip.replaceChildren(...this.samples.map((sample) => this.button(sample)))
    const large = this.samples.filter((sample) => this.picked.includes(sample.step))
    this.chosen.replaceChildren(...large.map((sample) => this.large(sample)))
    if (focused) /** @type {HTMLElement | null} */ (this.strip.querySelector(`[data-step="${Number(focused)}"]`))?.focus()
  }

  /** @param {Sample} sample */
  button(sample) {
    const pressed = this.picked.includes(sample.step)
    return element(
      'button',
      { type: 'button', class: 'fewshot-thumb', 'aria-pressed': String(pressed), 'data-step': sample.step, onclick: () => this.toggle(sample.step) },
      this.video(sample, { preload: 'metadata', tabindex: -1 }),
      element('span', { text: previewLabel(sample.step) }),
    )
  }

  /** @param {Sample} sample */
  large(sample) {
    const video = this.video(sample, { controls: true, loop: true, autoplay: !STILL.matches })
    return element('figure', {}, video, element('figcaption', { text: previewLabel(sample.step) }))
  }

  /** @param {Sample} sample @param {Record<string, any>} values */
  video(sample, values) {
    const video = element('video', { ...values, src: this.address(sample), playsinline: true, 'aria-label': previewLabel(sample.step) })
    video.muted = true // the attribute alone does not silence a made element
    return video
  }
}
