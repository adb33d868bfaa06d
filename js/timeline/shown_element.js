// Nodes 2.0 goes on showing the element of a DOM widget after undo, which makes every node anew: it knows nodes by
// their ids and looks for the element once. So a new node's element takes the place of its predecessor's.

/** @type {Map<string, HTMLElement>} elements of removed nodes by node */
const left = new Map()
const FORGOTTEN = 10000 // milliseconds; undo takes less
const LATER = [0, 100, 500] // milliseconds until the page may have drawn the new node

/** Call when a node goes. @param {string} key @param {HTMLElement} element */
export function leavePlace(key, element) {
  left.set(key, element)
  setTimeout(() => {
    if (left.get(key) === element) left.delete(key)
  }, FORGOTTEN)
}

/** Call when a node is there, with its id. @param {string} key @param {HTMLElement} element */
export function takePlace(key, element) {
  const old = left.get(key)
  left.delete(key)
  if (!old || old === element) return
  for (const delay of LATER) {
    setTimeout(() => {
      if (old.isConnected && !element.isConnected) old.replaceWith(element)
    }, delay)
  }
}
