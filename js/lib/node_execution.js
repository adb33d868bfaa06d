/** What the host tells of a node besides its runs: that it prepares one, and why there is none. */

import { failed, notRun, preparing } from './training_texts.js'

const LONGEST = 300 // characters of a message

export class NodeExecution {
  constructor() {
    this.isPreparing = false
    this.told = false // whether there was news of a run since the node began to execute
    this.message = '' // why the node has failed
    /** @type {[number, number] | null} */
    this.progress = null
  }

  /** The node begins to execute. */
  begin() {
    this.isPreparing = true
    this.told = false
    this.message = ''
    this.progress = null
  }

  /**
   * The node is so far with what it does. It tells that the node executes, too, where a page has come later.
   * @param {unknown} value
   * @param {unknown} most
   */
  goOn(value, most) {
    if (this.told) return
    if (!this.isPreparing) this.begin()
    this.progress = Number(most) > 1 ? [Number(value), Number(most)] : null
  }

  /** A run of the node goes on. */
  takeRun() {
    this.told = true
    this.isPreparing = false
    this.message = ''
  }

  /** The node does not execute, or no longer. */
  end() {
    this.isPreparing = false
  }

  /** The node has failed. @param {Record<string, any>} error as the host tells it */
  fail(error) {
    this.end()
    const [line] = String(error.exception_message ?? '').trim().split('\n')
    const text = line.trim() || String(error.exception_type ?? '')
    this.message = text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text
  }

  /** Another run is looked at, or the node has a result: its failure is no longer what is to be said. */
  forget() {
    this.message = ''
  }

  /**
   * What to say in place of a run's state; undefined where there is nothing.
   * @param {{ state: string, live: boolean } | null} run that is shown
   */
  line(run) {
    if (this.message && !this.told) return notRun(this.message)
    if (this.message && run?.state !== 'failed') return failed(this.message) // a run that failed says so itself
    if (this.isPreparing && !run?.live) return preparing(this.progress)
    return undefined
  }
}
