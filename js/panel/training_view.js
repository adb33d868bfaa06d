/** The training panel of one node: its parts, and what they show. `RunFollower` updates it. */

import { PendingAnswer } from '../lib/pending_answer.js'
import { TEXTS, figures, refused, sentence, stateLine, stopHint } from '../lib/training_texts.js'
import { CurveChoice, chosenLines, overlayColor } from './curve_choice.js'
import { element, keepKeys, say, useSheet } from './elements.js'
import { LossChart } from './loss_chart.js'
import { PreviewStrip } from './preview_strip.js'
import { RunList } from './run_list.js'
import { StageBar } from './stage_bar.js'

/**
 * @typedef {import('../lib/run_state.js').RunState} RunState
 * @typedef {import('../lib/run_state.js').Summary} Summary
 * @typedef {{
 *   command: (name: string) => Promise<string>, show: (id: string) => void, overlay: (ids: string[]) => void,
 *   list: () => void, changed: () => void, address: (sample: import('../lib/run_state.js').Sample) => string,
 * }} Actions
 */

const COMMANDS = /** @type {const} */ (['stop', 'save', 'sample'])
const MESSAGES = 5

export class TrainingView {
  /** @param {Actions} actions */
  constructor(actions) {
    useSheet('../training_panel.css', import.meta.url)
    this.actions = actions
    this.name = element('span', { class: 'fewshot-name' })
    this.state = element('div', { class: 'fewshot-state', role: 'status', text: TEXTS.empty })
    this.progress = element('progress', { max: 1, value: 0, 'aria-label': TEXTS.title })
    this.figures = element('dl', { class: 'fewshot-figures', 'aria-label': TEXTS.figures })
    this.choice = new CurveChoice(actions.changed)
    this.chart = new LossChart()
    this.buttons = COMMANDS.map((name) =>
      element('button', { type: 'button', text: TEXTS[name], title: TEXTS[`${name}Help`], 'data-command': name, disabled: true, onclick: () => this.command(name) }))
    this.hint = element('div', { class: 'fewshot-hint fewshot-dim' })
    this.answer = element('div', { class: 'fewshot-answer', role: 'status' })
    this.pendingAnswer = new PendingAnswer()
    this.stages = new StageBar(actions.show)
    this.strip = new PreviewStrip(actions.address)
    this.messages = element('ul', { class: 'fewshot-happened', 'aria-label': TEXTS.messages })
    this.runs = new RunList(actions.show, actions.overlay, actions.list)
    // What changes while somebody waits stands above the fold: the news, the previews, and the buttons that act on them.
    const told = element('div', { class: 'fewshot-told' }, this.stages.element, this.progress, this.messages, this.figures,
      element('div', { class: 'fewshot-buttons' }, ...this.buttons), this.hint, this.answer)
    const drawn = element('div', { class: 'fewshot-drawn' }, this.choice.element, this.chart.element)
    this.body = element('div', { class: 'fewshot-body', hidden: true }, told, this.strip.element, drawn)
    this.element = element('section', { class: 'fewshot-panel', 'aria-label': TEXTS.title },
      element('header', {}, this.state, this.name), this.runs.element, this.body)
    this.keepToItself()
    this.shown = ''
    this.pending = false
  }

  /** Keys and the wheel work on the panel and not on the graph behind it. */
  keepToItself() {
    keepKeys(this.element)
    this.element.addEventListener('wheel', (event) => {
      const scrolls = this.element.scrollHeight > this.element.clientHeight && !event.ctrlKey && !event.metaKey
      if (scrolls) event.stopPropagation()
    })
  }

  /**
   * @param {RunState | null} run
   * @param {RunState[]} others laid over it
   * @param {Summary[]} list runs of the node
   * @param {string} [trouble] what to say in place of a run's state
   * @param {import('../lib/stages.js').Stage[]} [stages] of the training that the run is part of
   */
  draw(run, others, list, trouble, stages = []) {
    say(this.state, trouble ?? (run ? stateLine(run) : TEXTS.empty))
    say(this.name, run?.name ?? '')
    this.body.hidden = !run
    const colors = Object.fromEntries(others.map((other, i) => [other.run, overlayColor(i)]))
    this.runs.draw(list, run?.run ?? '', colors)
    if (!run) return
    this.changeTo(run)
    this.element.dataset.state = run.state
    this.element.dataset.run = run.run // for the command that cites
    this.progress.max = Math.max(1, run.steps)
    this.progress.value = Math.min(run.step, run.steps)
    const running = run.live ? run : stages.find((stage) => stage.run?.live)?.run
    for (const button of this.buttons) button.disabled = !running || this.pending
    if (this.pendingAnswer.see(running?.run ?? '')) say(this.answer, '')
    say(this.hint, running ? stopHint(running) : '')
    this.stages.draw(stages, run.run, colors)
    this.drawFigures(run)
    this.drawMessages(run)
    this.choice.draw(run.bucketLabels)
    this.strip.draw(run.samples)
    void this.chart.draw(chosenLines(run, others, this.choice.choice), this.choice.choice.log)
  }

  /** @param {RunState} run */
  changeTo(run) {
    if (run.run === this.shown) return
    this.shown = run.run
    this.strip.reset()
    say(this.answer, '')
  }

  /** News of a run of the node. @param {Record<string, any>} event */
  hear(event) {
    if (this.pendingAnswer.hear(event)) say(this.answer, '')
  }

  /** @param {RunState} run */
  drawFigures(run) {
    const rows = figures(run)
    if (this.figures.childElementCount !== rows.length) {
      this.figures.replaceChildren(...rows.map(([name, value, help]) =>
        element('div', { title: help }, element('dt', { text: name }), element('dd', { text: value }))))
    }
    rows.forEach(([, value], i) => say(/** @type {HTMLElement} */ (this.figures.children[i].lastElementChild), value))
  }

  /** @param {RunState} run */
  drawMessages(run) {
    const last = run.notes.slice(-MESSAGES).reverse()
    const texts = last.map((note) => note.text)
    if ([...this.messages.children].map((item) => item.textContent).join('\n') === texts.join('\n')) return
    this.messages.replaceChildren(...last.map((note) => element('li', { text: note.text, 'data-kind': note.kind })))
  }

  /** @param {string} name */
  async command(name) {
    this.pending = true
    for (const button of this.buttons) button.disabled = true
    this.pendingAnswer.give(name)
    try {
      const answer = sentence(await this.actions.command(name))
      if (this.pendingAnswer.isOpen(name)) say(this.answer, answer)
    } catch (error) {
      say(this.answer, sentence(refused(error instanceof Error ? error.message : String(error))))
    }
    this.pending = false
    this.actions.changed()
  }

  /** @param {number} width of a chosen preview, in pixels */
  setPreviewSize(width) {
    this.element.style.setProperty('--fewshot-preview', `${width}px`)
  }

  destroy() {
    this.chart.destroy()
  }
}
