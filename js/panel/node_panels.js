/** The panels of all nodes that train. A panel outlives its node for a while: undo makes every node anew. */

import { addRow } from '../lib/node_row.js'
import { panelHeight } from '../lib/panel_height.js'
import { leaveBehind, takeOver } from '../lib/predecessors.js'
import { element } from './elements.js'
import { RunFollower } from './run_follower.js'

const WIDTH = 380 // pixels of a new node
const PREVIEWS = '.fewshot-previews:not([hidden])'

/**
 * @typedef {{
 *   page: (node: any) => import('./run_follower.js').Page,
 *   key: (node: any) => string,
 *   previewSize: () => number,
 * }} Host `key` names a node and its workflow, also after it was made anew
 */

export class NodePanels {
  /** @param {Host} host */
  constructor(host) {
    this.host = host
    /** @type {Map<HTMLElement, RunFollower>} by the place that a panel has in its node */
    this.followers = new Map()
    /** @type {WeakMap<HTMLElement, RunFollower>} those whose node is gone */
    this.detached = new WeakMap()
  }

  /** Put a panel on a node. @param {any} node */
  attach(node) {
    const place = element('div', { class: 'fewshot-panel-place' })
    this.settle(place, new RunFollower(this.host.page(node)))
    addRow(node, 'training_panel', 'FEWSHOT_TRAINING_PANEL', place, { hideOnZoom: false, getMinHeight: () => panelHeight(node.size[0], place.querySelector(PREVIEWS) !== null) })
    node.hideOutputImages = true // the panel shows the previews, in Nodes 2.0 …
    node.onDrawBackground = () => {} // … and in classic, where the front end shows them while it draws
    node.setSize([Math.max(node.size[0], WIDTH), Math.max(node.size[1], node.computeSize()[1])])
    this.listen(node, place)
    setTimeout(() => void this.followers.get(place)?.find()) // when the graph is complete and the node has its id
  }

  /** @param {any} node @param {HTMLElement} place */
  listen(node, place) {
    const { onAdded, onExecuted, onRemoved } = node
    let key = ''
    node.onAdded = (/** @type {any[]} */ ...values) => {
      key = this.host.key(node) // known from here on, and no longer when the graph is cleared
      this.inherit(node, takeOver(key, place) ?? place, place)
      return onAdded?.apply(node, values)
    }
    node.onExecuted = (/** @type {any} */ output, /** @type {any[]} */ ...more) => {
      this.followers.get(place)?.executed(output)
      return onExecuted?.call(node, output, ...more)
    }
    node.onRemoved = (/** @type {any[]} */ ...values) => {
      this.leave(key, place)
      return onRemoved?.apply(node, values)
    }
  }

  /** @param {HTMLElement} place @param {RunFollower} follower */
  settle(place, follower) {
    this.followers.set(place, follower)
    follower.view.setPreviewSize(this.host.previewSize())
    place.replaceChildren(element('div', { class: 'fewshot-panel-room' }, follower.view.element))
  }

  /**
   * Take over the panel of the node that was there before, with the run it shows and what was chosen in it.
   * @param {any} node @param {HTMLElement} old @param {HTMLElement} place
   */
  inherit(node, old, place) {
    const follower = this.detached.get(old)
    if (!follower || follower.gone) return
    this.detached.delete(old)
    this.followers.get(place)?.destroy()
    follower.page = this.host.page(node)
    this.settle(place, follower)
  }

  /** @param {string} key @param {HTMLElement} place */
  leave(key, place) {
    const follower = this.followers.get(place)
    if (!follower) return
    this.followers.delete(place)
    this.detached.set(place, follower)
    leaveBehind(key, place, () => follower.destroy())
  }

  /** News of a run. @param {Record<string, any>} event */
  hear(event) {
    for (const follower of this.followers.values()) follower.hear(event)
  }

  /** News of an execution. @param {string} kind @param {any} detail */
  tell(kind, detail) {
    for (const follower of this.followers.values()) follower.tell(kind, detail)
  }

  /** Read what was missed. */
  catchUp() {
    for (const follower of this.followers.values()) void follower.find()
  }

  /** @param {number} width */
  setPreviewSize(width) {
    for (const follower of this.followers.values()) follower.view.setPreviewSize(width)
  }
}
