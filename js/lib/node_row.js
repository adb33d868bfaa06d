/** An element as a row of its node, which stands in the node and nowhere else. */

/** @type {Map<HTMLElement, any>} the nodes of the rows that there are */
const nodes = new Map()

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
  element.dataset.fewshotRow = name
  nodes.set(element, node)
  const { onAdded, onRemoved } = node
  node.onAdded = (/** @type {any[]} */ ...values) => {
    nodes.set(element, node)
    return onAdded?.apply(node, values)
  }
  node.onRemoved = (/** @type {any[]} */ ...values) => {
    nodes.delete(element)
    return onRemoved?.apply(node, values)
  }
  return widget
}

/**
 * Give every node of the open graph its own rows.
 *
 * Nodes 2.0 knows nodes by their ids and looks for a row's element once. After undo, which makes every node anew, and
 * on the way into or out of a subgraph, whose nodes count from one as well, it goes on showing that of another node.
 *
 * @param {any} graph the one that is open
 * @param {ParentNode} page
 */
export function showOwnRows(graph, page = document) {
  for (const [element, node] of nodes) {
    if (node.graph !== graph || element.isConnected) continue
    const place = `[data-node-id="${node.id}"] [data-fewshot-row="${element.dataset.fewshotRow}"]`
    page.querySelector(place)?.replaceWith(element)
  }
}
