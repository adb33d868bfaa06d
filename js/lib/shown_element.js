// Nodes 2.0 goes on showing the element of a DOM widget after undo, which makes every node anew: it knows nodes by
// their ids and looks for the element once. So a new node's element takes the place of its predecessor's.

/** @type {Map<string, { element: HTMLElement, timer: ReturnType<typeof setTimeout> }>} of removed nodes */
const left = new Map()
const FORGOTTEN = 10000 // milliseconds; undo takes less
const LATER = [0, 100, 500] // milliseconds until the page may have drawn the new node

/**
 * Call when a node goes.
 * @param {string} key of the node and its widget
 * @param {HTMLElement} element
 * @param {() => void} [forget] called when no successor has come
 */
export function leavePlace(key, element, forget = () => {}) {
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
export function takePlace(key, element) {
  const found = left.get(key)
  if (!found) return null
  left.delete(key)
  clearTimeout(found.timer)
  if (found.element === element) return null
  for (const delay of LATER) {
    setTimeout(() => {
      if (found.element.isConnected && !element.isConnected) found.element.replaceWith(element)
    }, delay)
  }
  return found.element
}
