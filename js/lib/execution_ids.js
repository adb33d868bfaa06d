/** How the server names a node: `3`, and `5:3` for node 3 of the subgraph that node 5 shows. */

/**
 * @typedef {{ id: string | number, subgraph?: GraphLike | null }} NodeLike
 * @typedef {{ nodes: NodeLike[] }} GraphLike
 */

/**
 * All execution ids of a node: one for each place its subgraph is used in.
 *
 * @param {NodeLike} node
 * @param {GraphLike} root the outermost graph
 * @returns {string[]}
 */
export function executionIds(node, root) {
  /** @type {string[]} */
  const found = []
  /** @param {GraphLike} graph @param {string} prefix */
  const walk = (graph, prefix) => {
    for (const other of graph.nodes) {
      if (other === node) found.push(prefix + other.id)
      if (other.subgraph) walk(other.subgraph, `${prefix}${other.id}:`)
    }
  }
  walk(root, '')
  return found
}
