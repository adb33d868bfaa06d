/** A handle that is dragged with the pointer and moved with the arrow keys: a slider to screen readers. */

import { element } from '../panel/elements.js'

/**
 * What a handle does. `grip` gives, when the pointer takes it, a function from later events to values.
 * @typedef {object} Actions
 * @property {(event: PointerEvent) => (event: PointerEvent) => number} grip
 * @property {(value: number) => void} move
 * @property {() => void} done the end of a drag or of a key press
 * @property {() => void} [reset] Delete or Backspace
 */

/** @typedef {{value: number, min: number, max: number, step: number, page: number, text: string, off?: boolean}} Setting */

/** One handle. */
export class Handle {
  /**
   * @param {string} className @param {string} label @param {'horizontal' | 'vertical'} orientation
   * @param {Actions} actions
   */
  constructor(className, label, orientation, actions) {
    const slider = { role: 'slider', tabindex: 0, 'aria-label': label, 'aria-orientation': orientation }
    this.element = element('div', { class: `fewshot-handle ${className}`, ...slider })
    /** @type {Setting} */
    this.setting = { value: 0, min: 0, max: 0, step: 1, page: 1, text: '' }
    this.actions = actions
    const bounded = { ...actions, move: (value) => this.moveTo(value) }
    followPointer(this.element, () => !this.setting.off, bounded)
    followKeys(this.element, () => this.setting, bounded)
  }

  /** @param {number} value */
  moveTo(value) {
    const kept = Math.min(Math.max(value, this.setting.min), this.setting.max)
    if (kept !== this.setting.value) this.actions.move(kept)
  }

  /** @param {Setting} next */
  set(next) {
    this.setting = next
    this.element.setAttribute('aria-valuemin', String(next.min))
    this.element.setAttribute('aria-valuemax', String(next.max))
    this.element.setAttribute('aria-valuenow', String(next.value))
    this.element.setAttribute('aria-valuetext', next.text)
    this.element.setAttribute('aria-disabled', String(Boolean(next.off)))
    this.element.title = next.text
  }
}

function followPointer(knob, isOn, actions) {
  /** @type {((event: PointerEvent) => number) | null} */
  let valueAt = null
  knob.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return
    event.preventDefault() // neither text is selected nor the node moved
    event.stopPropagation()
    knob.focus()
    if (!isOn()) return
    knob.setPointerCapture(event.pointerId)
    valueAt = actions.grip(event)
  })
  knob.addEventListener('pointermove', (event) => {
    if (valueAt) actions.move(valueAt(event))
  })
  for (const end of ['pointerup', 'pointercancel']) {
    knob.addEventListener(end, () => {
      if (valueAt) actions.done()
      valueAt = null
    })
  }
}

/** Value after a key of a slider; null for other keys. */
export function valueAfterKey(key, { value, min, max, step, page }) {
  const moves = {
    ArrowRight: value + step,
    ArrowUp: value + step,
    ArrowLeft: value - step,
    ArrowDown: value - step,
    PageUp: value + page,
    PageDown: value - page,
    Home: min,
    End: max
  }
  return moves[key] ?? null
}

function followKeys(knob, setting, actions) {
  knob.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return // undo and the like are the host's
    const value = valueAfterKey(event.key, setting())
    const resets = ['Delete', 'Backspace'].includes(event.key)
    if (value === null && !resets) return
    event.preventDefault()
    event.stopPropagation() // or Delete would take the node away
    if (setting().off) return
    if (value !== null) actions.move(value)
    else actions.reset?.()
  })
  knob.addEventListener('keyup', () => actions.done())
}
