/** Curves of a run: what the history route tells, what events add, and how several are laid over one another. */

import { isNumber } from './amounts.js'

/**
 * @typedef {{ steps: number[], columns: Record<string, (number | null)[]> }} Curve values over rising steps
 * @typedef {{ steps: number[], values: (number | null)[] }} Line one column of a curve
 */

/** @returns {Curve} */
export function emptyCurve() {
  return { steps: [], columns: {} }
}

/**
 * A curve of the history route, where `steps` and the columns lie side by side.
 *
 * @param {Record<string, unknown> | undefined} table
 * @returns {Curve}
 */
export function curveOf(table) {
  const { steps, ...columns } = table ?? {}
  if (!Array.isArray(steps) || !steps.every(isNumber)) return emptyCurve()
  const curve = emptyCurve()
  curve.steps = [...steps]
  for (const [name, values] of Object.entries(columns)) {
    if (Array.isArray(values)) curve.columns[name] = steps.map((_, i) => (isNumber(values[i]) ? values[i] : null))
  }
  return curve
}

/**
 * Add the values of a step. A step that is not later than the last one means that the run went back: what was
 * measured from there on is dropped.
 *
 * @param {Curve} curve changed in place
 * @param {number} step
 * @param {Record<string, unknown>} values
 */
export function addPoint(curve, step, values) {
  const keep = curve.steps.findIndex((other) => other >= step)
  if (keep >= 0) {
    curve.steps.length = keep
    for (const column of Object.values(curve.columns)) column.length = keep
  }
  const before = curve.steps.length
  curve.steps.push(step)
  for (const name of Object.keys(values)) curve.columns[name] ??= Array(before).fill(null)
  for (const [name, column] of Object.entries(curve.columns)) {
    const value = values[name]
    column.push(isNumber(value) ? value : null)
  }
}

/**
 * @param {Curve} curve
 * @param {string} name
 * @returns {Line}
 */
export function line(curve, name) {
  return { steps: curve.steps, values: curve.columns[name] ?? [] }
}

/**
 * Several lines over all the steps that any of them has; a step that a line lacks is undefined there, so that it is
 * drawn through, while a null is a gap.
 *
 * @param {Line[]} lines
 * @returns {[number[], ...(number | null | undefined)[][]]} steps, then the values of each line
 */
export function aligned(lines) {
  const steps = [...new Set(lines.flatMap((one) => one.steps))].sort((a, b) => a - b)
  const place = new Map(steps.map((step, i) => [step, i]))
  const columns = lines.map((one) => {
    /** @type {(number | null | undefined)[]} */
    const column = Array(steps.length).fill(undefined)
    one.steps.forEach((step, i) => {
      column[/** @type {number} */ (place.get(step))] = one.values[i] ?? null
    })
    return column
  })
  return [steps, ...columns]
}

/**
 * Whether a line has anything to draw.
 * @param {Line} one
 */
export function isDrawn(one) {
  return one.values.some(isNumber)
}

/**
 * The step of a list that lies nearest to a place; null where there is none.
 *
 * @param {number[]} steps rising
 * @param {number} at
 * @returns {number | null} its index
 */
export function nearest(steps, at) {
  let best = null
  for (let i = 0; i < steps.length; i++) {
    if (best === null || Math.abs(steps[i] - at) < Math.abs(steps[best] - at)) best = i
  }
  return best
}
