/** An element as a row of its node, which stands in the node and nowhere else. */

/**
 * Put an element below the inputs of a node.
 *
 * The page's side panel would show the row again, empty, and write its own width into the widget: the row would then
 * be as wide as the panel, not as the node. So it is left out there, and has no width but the node's, for places that
 * show it nevertheless.
 *
 * @param {any} node
 * @param {string} name
 * @param {string} type
 * @param {HTMLElement} element
 * @param {Record<string, any>} options of the widget
 * @returns {any} the widget
 */
export function addRow(node, name, type, element, options) {
  const widget = node.addDOMWidget(name, type, element, { ...options, serialize: false, hideInPanel: true })
  widget.serialize = false
  Object.defineProperty(widget, 'width', { get: () => undefined, set() {}, configurable: true })
  return widget
}
