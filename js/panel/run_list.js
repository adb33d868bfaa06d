/** Runs of a node: show another one, or lay its loss over the curves. */

import { TEXTS, overlayLabel, runLine } from '../lib/training_texts.js'
import { MOST_OVERLAYS } from './curve_choice.js'
import { element } from './elements.js'

/** @typedef {import('../lib/run_state.js').Summary} Summary */

const MOST = 20

export class RunList {
  /**
   * @param {(id: string) => void} show
   * @param {(ids: string[]) => void} overlay
   * @param {() => void} opened
   */
  constructor(show, overlay, opened) {
    this.show = show
    this.overlay = overlay
    this.items = element('ul')
    this.element = element('details', { class: 'fewshot-runs', hidden: true },
      element('summary', { text: TEXTS.earlier, title: TEXTS.earlierHelp }), this.items)
    this.element.addEventListener('toggle', () => this.element.open && opened())
    /** @type {Set<string>} */
    this.ticked = new Set()
    this.drawn = ''
  }

  /**
   * @param {Summary[]} runs the newest first
   * @param {string} current id of the run that is shown
   * @param {Record<string, string>} colors CSS variable of each run that is laid over
   */
  draw(runs, current, colors) {
    const shown = runs.slice(0, MOST)
    this.element.hidden = !shown.length
    const wanted = JSON.stringify([shown.map((run) => [run.run, run.name, runLine(run)]), current, colors])
    if (wanted === this.drawn) return
    this.drawn = wanted
    const focused = this.items.contains(document.activeElement) ? document.activeElement?.getAttribute('data-key') : null
    this.items.replaceChildren(...shown.map((run) => this.item(run, current, colors[run.run])))
    if (focused) /** @type {HTMLElement | undefined} */ ([...this.items.querySelectorAll('[data-key]')].find((one) => one.getAttribute('data-key') === focused))?.focus()
  }

  /** @param {Summary} run @param {string} current @param {string | undefined} color */
  item(run, current, color) {
    const own = run.run === current
    const box = element('input', { type: 'checkbox', 'data-key': `tick ${run.run}`, 'aria-label': overlayLabel(run.name), disabled: own })
    box.checked = !own && this.ticked.has(run.run)
    box.addEventListener('change', () => this.tick(run.run, box.checked))
    const name = element('button', { type: 'button', class: 'fewshot-link', text: run.name, title: run.name, 'data-key': `show ${run.run}`,
      'aria-current': own ? 'true' : null, onclick: () => this.show(run.run) })
    const swatch = element('span', { class: 'fewshot-swatch', 'aria-hidden': 'true' })
    if (color) swatch.style.setProperty('--swatch', `var(${color})`)
    return element('li', {}, box, swatch, name, element('span', { class: 'fewshot-dim', text: own ? `${runLine(run)} (${TEXTS.current})` : runLine(run) }))
  }

  /** @param {string} id @param {boolean} on */
  tick(id, on) {
    if (on) this.ticked.add(id)
    else this.ticked.delete(id)
    if (this.ticked.size > MOST_OVERLAYS) this.ticked.delete([...this.ticked][0]) // its curve goes, and so its tick
    this.overlay([...this.ticked])
  }
}
