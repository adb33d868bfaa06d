// Undo makes every node of a workflow anew. What was shown on the old one is kept for a while, for its successor.

/** @type {Map<string, { element: HTMLElement, timer: ReturnType<typeof setTimeout> }>} of removed nodes */
const left = new Map()
const FORGOTTEN = 10000 // milliseconds; undo takes less

/**
 * Call when a node goes.
 * @param {string} key of the node and its widget
 * @param {HTMLElement} element
 * @param {() => void} [forget] called when no successor has come
 */
export function leaveBehind(key, element, forget = () => {}) {
  const timer = setTimeout(() => {
    if (left.get(key)?.element === element) left.delete(key)
    forget()
  }, FORGOTTEN)
  left.set(key, { element, timer })
}

/**
 * Call when a node is there, with its id.
 * @param {string} key
 * @param {HTMLElement} element
 * @returns {HTMLElement | null} the predecessor's
 */
export function takeOver(key, element) {
  const found = left.get(key)
  if (!found) return null
  left.delete(key)
  clearTimeout(found.timer)
  return found.element === element ? null : found.element
}
