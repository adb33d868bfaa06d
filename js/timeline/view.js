/** The timeline as HTML: one bar per latent frame at its noise level, handles on borders and levels, texts. */

import { element, keepKeys, useSheet } from '../panel/elements.js'
import { ROLES } from '../lib/timeline_layout.js'
import { TEXTS } from '../lib/timeline_text.js'
import { fill } from '../texts/language.js'
import { draw, drawSigma } from './drawing.js'
import { Handle } from './handle.js'

/**
 * What a user does to the timeline; `done` ends a drag or a key press.
 * @typedef {object} Edits
 * @property {(task: string) => void} task
 * @property {(role: string, latents: number | null) => void} count null: as the task has it
 * @property {(index: number, level: number) => void} level
 * @property {() => void} resetLevels
 * @property {() => void} reset
 * @property {(fps: number) => void} fps
 * @property {() => void} done
 */

/** The timeline of one node: its parts, and the state they show. */
export class TimelineView {
  /** @param {Edits} edits */
  constructor(edits) {
    useSheet('../timeline.css', import.meta.url)
    this.edits = edits
    this.parts = skeleton()
    this.element = this.parts.root
    this.sigma = 1
    /** @type {any} */
    this.state = null
    this.handles = {
      borders: ROLES.map((role) => this.borderHandle(role)),
      levels: /** @type {Handle[]} */ ([]),
      sigma: this.sigmaHandle()
    }
    this.parts.overlay.append(...this.handles.borders.map((handle) => handle.element))
    this.parts.scrubber.append(this.handles.sigma.element)
    this.listen()
  }

  /** @param {any} next what `readState` gives */
  update(next) {
    const rebuilt = !this.state || barsKey(this.state.sequence) !== barsKey(next.sequence)
    this.state = next
    if (rebuilt) this.rebuild()
    draw(this.parts, this.handles, this.state)
    drawSigma(this.parts, this.handles, this.state, this.sigma)
  }

  listen() {
    const { parts, edits } = this
    parts.task.addEventListener('change', () => edits.task(parts.task.value))
    parts.reset.addEventListener('click', () => edits.reset())
    parts.fps.addEventListener('change', () => edits.fps(Number(parts.fps.value)))
    parts.root.addEventListener('pointerdown', (event) => event.stopPropagation())
    keepKeys(parts.root)
  }

  /** @param {import('../lib/timeline_layout.js').Role} role */
  borderHandle(role) {
    return new Handle(`fewshot-border fewshot-${role}`, TEXTS[`${role}End`], 'horizontal', {
      grip: (event) => {
        const { sequence } = this.state
        const perLatent = this.parts.chart.getBoundingClientRect().width / sequence.bars.length
        const [start, count] = [event.clientX, sequence[role]]
        return (later) => Math.round(count + (later.clientX - start) / perLatent)
      },
      move: (latents) => this.edits.count(role, latents),
      done: this.edits.done,
      reset: () => this.edits.count(role, null)
    })
  }

  /** @param {number} index */
  levelHandle(index) {
    return new Handle('fewshot-level', fill(TEXTS.level, { number: index + 1 }), 'vertical', {
      grip: () => {
        const { bottom, height } = this.parts.chart.getBoundingClientRect()
        return (later) => (bottom - later.clientY) / height
      },
      move: (level) => this.edits.level(index, level),
      done: this.edits.done,
      reset: () => this.edits.resetLevels()
    })
  }

  sigmaHandle() {
    return new Handle('fewshot-sigma', TEXTS.sigma, 'horizontal', {
      grip: () => {
        const { left, width } = this.parts.scrubber.getBoundingClientRect()
        return (later) => Math.round((100 * (later.clientX - left)) / width) / 100
      },
      move: (value) => {
        this.sigma = value
        drawSigma(this.parts, this.handles, this.state, value)
      },
      done: () => {}
    })
  }

  /** New bars and level handles, where their number has changed. */
  rebuild() {
    const { parts, handles, state: { sequence } } = this
    parts.cells.replaceChildren(
      ...sequence.bars.map(({ role }) => element('div', { class: `fewshot-cell fewshot-${role}` }, element('div', { class: 'fewshot-fill' })))
    )
    parts.cells.classList.toggle('fewshot-crowded', sequence.bars.length > 40)
    if (handles.levels.length === sequence.buffer) return
    for (const handle of handles.levels) handle.element.remove()
    handles.levels = sequence.levels.map((_, index) => this.levelHandle(index))
    parts.overlay.append(...handles.levels.map((handle) => handle.element))
  }
}

function skeleton() {
  const hidden = { 'aria-hidden': 'true' }
  const task = element('select', { class: 'fewshot-task', 'aria-label': TEXTS.task })
  const reset = element('button', { class: 'fewshot-reset', type: 'button', title: TEXTS.resetHelp, text: TEXTS.reset })
  const number = { type: 'number', min: 1, step: 'any', 'aria-label': TEXTS.rate }
  const fps = element('input', { class: 'fewshot-fps', ...number })
  const rate = element('span', {}, fps, ` ${TEXTS.fps}`)
  const summary = element('span', { class: 'fewshot-summary' })
  const cells = element('div', { class: 'fewshot-cells', ...hidden })
  const line = element('div', { class: 'fewshot-sigma-line', ...hidden })
  const overlay = element('div', { class: 'fewshot-overlay' })
  const chart = element('div', { class: 'fewshot-chart' }, cells, line, overlay)
  const counts = element('div', { class: 'fewshot-counts' })
  const scrubber = element('div', { class: 'fewshot-scrubber' })
  const moving = element('span', { class: 'fewshot-moving', role: 'status', title: TEXTS.sigmaHelp })
  const kept = element('span', { class: 'fewshot-kept' })
  const messages = element('ul', { class: 'fewshot-messages', role: 'status' })
  const root = element(
    'div',
    { class: 'fewshot-timeline', role: 'group', 'aria-label': TEXTS.title },
    row(task, reset),
    summary,
    chart,
    counts,
    row('σ', scrubber, moving),
    row(kept, rate),
    messages
  )
  return { root, task, reset, fps, rate, summary, cells, line, overlay, chart, counts, scrubber, moving, kept, messages }
}

/** @param {...(Node | string)} children */
function row(...children) {
  return element('div', { class: 'fewshot-row' }, ...children)
}

function barsKey({ condition, buffer, target }) {
  return [condition, buffer, target].join(' ')
}
