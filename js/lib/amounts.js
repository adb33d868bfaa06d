/** Numbers as people read them. A missing number is a dash. */

export const NONE = '–'

/** @param {unknown} value @returns {value is number} */
export function isNumber(value) {
  return typeof value === 'number' && Number.isFinite(value)
}

/**
 * A number with about three digits: `0.123`, `12.3`, `1e-4`.
 * @param {unknown} value
 */
export function short(value) {
  if (!isNumber(value)) return NONE
  const size = Math.abs(value)
  if (value !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(2).replace(/\.?0+e/, 'e').replace('e+', 'e')
  return String(Number(value.toPrecision(3)))
}

/**
 * Seconds in words, in the two largest units: `45 s`, `3 min 20 s`, `2 h 5 min`.
 * @param {unknown} seconds
 */
export function duration(seconds) {
  if (!isNumber(seconds) || seconds < 0) return NONE
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return pair(Math.floor(whole / 60), 'min', whole % 60, 's')
  const minutes = Math.round(seconds / 60)
  if (minutes < 24 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min')
  const hours = Math.round(seconds / 3600)
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

/** @param {number} large @param {string} unit @param {number} small @param {string} smaller */
function pair(large, unit, small, smaller) {
  return small ? `${large} ${unit} ${small} ${smaller}` : `${large} ${unit}`
}

/**
 * Seconds of one step: `0.42 s`.
 * @param {unknown} seconds
 */
export function pace(seconds) {
  return isNumber(seconds) && seconds >= 0 ? `${short(seconds)} s` : NONE
}

/**
 * Bytes as `820 MB` or `11.3 GB`, in units of 1000.
 * @param {unknown} bytes
 */
export function memory(bytes) {
  if (!isNumber(bytes) || bytes < 0) return NONE
  return bytes < 999.5e6 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`
}
