// Reading and setting a node's inputs: its own widgets, those shown on the subgraph around it, or wires.

const SUBGRAPH_INPUT = '-10' // id of the place in a subgraph where its inputs come in
const DEEPEST = 16 // subgraphs in subgraphs

/**
 * One input of a node. `linked` ones get their value from another node; it is known after a run only.
 * @typedef {{value: any, linked: boolean, widget: any, set: (value: any) => void}} Input
 */

/**
 * @param {any} node @param {string} name @param {any} root the workflow's outermost graph
 * @returns {Input | null} null where the node has no such input
 */
export function readInput(node, name, root, depth = 0) {
  const widget = node.widgets?.find((one) => one.name === name)
  if (!widget) return null
  const link = linkOf(node, name)
  if (!link) return own(node, widget)
  const outer = depth < DEEPEST ? promoted(node, link, root, depth) : null
  return outer ?? { value: widget.value, linked: true, widget, set: () => {} }
}

/** @param {any} node @param {string} name @returns {boolean} whether the input is wired */
export function isWired(node, name) {
  const slot = slotOf(node, name)
  return slot >= 0 && node.isInputConnected(slot)
}

/**
 * The node that an input is wired to, or the one around the subgraph that it comes from.
 * @param {any} node @param {string} name @param {any} root the workflow's outermost graph
 * @returns {any} null where there is none, or copies of a subgraph are wired to several
 */
export function originOf(node, name, root, depth = 0) {
  if (!node.graph || depth > DEEPEST) return null // not in a graph yet, while the page makes the node
  const link = linkOf(node, name)
  if (!link) return null
  if (String(link.origin_id) !== SUBGRAPH_INPUT) return node.graph.getNodeById?.(link.origin_id) ?? null
  const outer = node.graph.inputs?.[link.origin_slot]?.name
  const origins = new Set(hostsOf(node.graph, root).map((host) => originOf(host, outer, root, depth + 1)))
  return origins.size === 1 ? [...origins][0] : null
}

/**
 * The key the page keeps a node's outputs under: its id, behind that of its subgraph.
 * @param {any} node @param {any} root
 */
export function outputKey(node, root) {
  return !node.graph || node.graph === root ? String(node.id) : `${node.graph.id}:${node.id}`
}

function own(node, widget) {
  const set = (value) => {
    widget.value = value
    widget.callback?.(value)
    node.graph?.setDirtyCanvas(true, true)
  }
  return { value: widget.value, linked: false, widget, set }
}

/** The input of the subgraph node that a link from the subgraph's edge stands for, where all of its copies agree. */
function promoted(node, link, root, depth) {
  if (String(link.origin_id) !== SUBGRAPH_INPUT) return null
  const name = node.graph.inputs?.[link.origin_slot]?.name
  const inputs = hostsOf(node.graph, root).map((host) => readInput(host, name, root, depth + 1))
  const [first] = inputs
  if (!first || inputs.some((input) => !input || input.linked || input.value !== first.value)) return null
  return { ...first, set: (value) => inputs.forEach((input) => input?.set(value)) }
}

/** All nodes that a subgraph is the inside of. */
function hostsOf(subgraph, graph) {
  return (graph?.nodes ?? []).flatMap((node) => {
    if (!node.subgraph) return []
    return node.subgraph === subgraph ? [node] : hostsOf(subgraph, node.subgraph)
  })
}

/** The number of an input; -1 where the node has none of that name. */
function slotOf(node, name) {
  const byWidget = node.inputs?.findIndex((input) => input.widget?.name === name) ?? -1
  return byWidget >= 0 ? byWidget : (node.inputs?.findIndex((input) => input.name === name) ?? -1)
}

function linkOf(node, name) {
  if (!isWired(node, name)) return null
  return node.getInputLink(slotOf(node, name)) ?? { origin_id: null, origin_slot: 0 }
}
