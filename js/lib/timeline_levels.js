// Noise levels of TIC-FT's buffers: from text to numbers and back, and what a drag makes of them.

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
const STEP = 0.01 // a drag and an arrow key move a level by multiples of it
const TOLERANCE = 1e-6 // levels closer than this are the same level

/**
 * Evenly rising levels, `b / (B + 1)`.
 * @param {number} buffer @returns {number[]}
 */
export function linearLevels(buffer) {
  return Array.from({ length: buffer }, (_, b) => (b + 1) / (buffer + 1))
}

/**
 * Levels of a text: numbers with commas, semicolons or blanks between them. Null where a part is no number.
 * An empty text gives none, which means evenly rising.
 * @param {string} text @returns {number[] | null}
 */
export function parseLevels(text) {
  const parts = String(text).split(/[,; ]/).map((part) => part.trim()).filter(Boolean)
  return parts.every((part) => NUMBER.test(part)) ? parts.map(Number) : null
}

/** @param {number[]} levels @returns {string} the text of `buffer_levels` */
export function formatLevels(levels) {
  return levels.map((level) => String(Number(level.toFixed(4)))).join(', ')
}

/** @param {number[]} levels @returns {boolean} whether they rise and lie between 0 and 1 */
export function areRising(levels) {
  return [...levels, 1].every((level, i) => (i ? levels[i - 1] : 0) < level)
}

/**
 * The levels with one of them moved, kept between its neighbours.
 * @param {number[]} levels @param {number} index @param {number} value @returns {number[]}
 */
export function moveLevel(levels, index, value) {
  const below = index ? levels[index - 1] : 0
  const above = index + 1 < levels.length ? levels[index + 1] : 1
  const gap = Math.min(STEP, (above - below) / 4)
  const stepped = Math.round(value / STEP) * STEP
  const moved = Math.min(Math.max(stepped, below + gap), above - gap)
  return levels.map((level, i) => (i === index ? moved : level))
}

/**
 * Levels of another number of buffers on the same curve, which runs from 0 at the condition to 1 at the target.
 * @param {number[]} levels @param {number} buffer @returns {number[]}
 */
export function resampleLevels(levels, buffer) {
  const points = [0, ...levels, 1]
  return linearLevels(buffer).map((share) => {
    const place = share * (points.length - 1)
    const first = Math.min(Math.floor(place), points.length - 2)
    return points[first] + (place - first) * (points[first + 1] - points[first])
  })
}

/** @param {number} level @param {number} other @returns {boolean} whether they differ by rounding alone */
export function sameLevel(level, other) {
  return Math.abs(level - other) <= TOLERANCE * Math.max(1, Math.abs(level))
}
