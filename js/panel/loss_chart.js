/** The loss curves, drawn by uPlot. */

import { aligned, nearest } from '../lib/loss_curves.js'
import { TEXTS, reading } from '../lib/training_texts.js'
import { element, say, useSheet } from './elements.js'

/**
 * @typedef {import('../lib/loss_curves.js').Line & { label: string, color: string, dash?: number[], width?: number,
 *   dots?: boolean }} Drawn a line and how it is drawn; `color` is the name of a CSS variable
 */

const VENDOR = '../vendor/uPlot-1.6.32/'
/** @type {Promise<any> | undefined} */
let library

/** Load uPlot when the first chart is made. */
function load() {
  useSheet(`${VENDOR}uPlot.min.css`, import.meta.url)
  library ??= import(new URL(`${VENDOR}uPlot.esm.mjs`, import.meta.url).href).then((module) => module.default)
  return library
}

export class LossChart {
  constructor() {
    this.plotted = element('div', { class: 'fewshot-plot' })
    this.probe = element('span', { hidden: true })
    this.read = element('div', { class: 'fewshot-reading', 'aria-live': 'polite' })
    this.element = element(
      'div',
      { class: 'fewshot-loss-chart', tabindex: 0, role: 'group', 'aria-label': TEXTS.chart, onkeydown: this.press.bind(this),
        onpointermove: this.point.bind(this), onpointerleave: () => this.point(null), onblur: () => this.point(null) },
      this.plotted,
      this.probe,
      this.read,
    )
    /** @type {Drawn[]} */
    this.lines = []
    /** @type {[number[], ...(number | null | undefined)[][]]} */
    this.data = [[]]
    this.log = false
    this.shape = ''
    this.late = false // whether it was out of the page when there was something to draw
    /** @type {any} */
    this.plot = null
    /** @type {number | null} */
    this.at = null
    this.resized = new ResizeObserver(() => this.resize())
    this.resized.observe(this.plotted)
    this.themed = new MutationObserver(() => this.plot?.redraw(false))
    for (const root of [document.documentElement, document.body]) {
      this.themed.observe(root, { attributes: true, attributeFilter: ['class', 'style', 'data-theme'] })
    }
  }

  /**
   * Draw lines; the chart is made anew only when there are others than before.
   * @param {Drawn[]} lines
   * @param {boolean} log whether the loss is drawn on a logarithmic scale
   */
  async draw(lines, log) {
    this.lines = lines
    this.log = log
    this.data = aligned(lines)
    const Plot = await load()
    if (this.lines !== lines) return // another call has come meanwhile
    this.late = !this.plotted.isConnected
    if (this.late) return
    const shape = JSON.stringify([log, lines.map(({ label, color, dash }) => [label, color, dash])])
    if (this.plot && shape === this.shape) this.plot.setData(this.data)
    else {
      this.plot?.destroy()
      this.plot = new Plot(this.options(), this.data, this.plotted)
      this.shape = shape
    }
    this.tell()
  }

  /** What uPlot wants to know. Colours are asked for at every drawing, so that they follow the theme. */
  options() {
    const color = (/** @type {string} */ name) => () => this.color(name)
    const axis = { stroke: color('--fewshot-axis'), grid: { stroke: color('--fewshot-grid'), width: 1 },
      ticks: { stroke: color('--fewshot-grid'), width: 1, size: 4 }, font: '10px sans-serif', gap: 3 }
    return {
      ...this.size(),
      legend: { show: false },
      cursor: { show: false }, // it would be off where the page is zoomed
      scales: { x: { time: false }, y: this.log ? { distr: 3 } : {} },
      axes: [{ ...axis, size: 20 }, { ...axis, size: 44, space: 22, values: (/** @type {any} */ _, /** @type {(number | null)[]} */ ticks) =>
        ticks.map((tick) => (tick === null ? '' : String(Number(tick.toPrecision(3))))) }],
      series: [{}, ...this.lines.map((one) => ({ label: one.label, stroke: color(one.color), width: one.width ?? 1.5, dash: one.dash,
        points: { show: one.dots || one.steps.length === 1, size: 5, fill: color(one.color) } }))],
    }
  }

  /** A colour as a canvas takes it: one that depends on the theme only means something on an element. @param {string} name */
  color(name) {
    this.probe.style.color = `var(${name})`
    return getComputedStyle(this.probe).color
  }

  size() {
    return { width: Math.max(120, this.plotted.clientWidth), height: Math.max(60, this.plotted.clientHeight) }
  }

  resize() {
    if (this.late && this.plotted.isConnected) return void this.draw(this.lines, this.log)
    const { width, height } = this.size()
    if (this.plot && (this.plot.width !== width || this.plot.height !== height)) this.plot.setSize({ width, height })
  }

  /** Read the step under the pointer. @param {PointerEvent | null} event */
  point(event) {
    const box = this.plotted.querySelector('.u-over')?.getBoundingClientRect()
    const steps = this.data[0]
    if (!event || !box || !this.plot || !steps.length) this.at = null
    else {
      const { min, max } = this.plot.scales.x
      this.at = nearest(steps, min + ((event.clientX - box.left) / box.width) * (max - min))
    }
    this.tell()
  }

  /** Read one step further. @param {KeyboardEvent} event */
  press(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key]
    if (by === undefined || !this.data[0].length) return
    event.preventDefault()
    event.stopPropagation()
    const last = this.data[0].length - 1
    this.at = Math.min(last, Math.max(0, (this.at ?? last) + by))
    this.tell()
  }

  tell() {
    const at = this.at
    const known = at !== null && at < this.data[0].length
    say(this.read, known ? reading(this.data[0][at], this.lines.map((one, i) => [one.label, this.data[i + 1][at]])) : '')
  }

  destroy() {
    this.resized.disconnect()
    this.themed.disconnect()
    this.plot?.destroy()
    this.plot = null
  }
}
