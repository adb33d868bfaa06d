/** Runs whose curves are laid over those of the run that is shown: its other stages, and those that were ticked. */

import { takeEvent } from '../lib/run_state.js'
import { stageName } from '../lib/training_texts.js'
import { MOST_OVERLAYS } from './curve_choice.js'

/**
 * @typedef {import('../lib/run_state.js').RunState} RunState
 * @typedef {import('../lib/stages.js').Stage} Stage
 */

export class LaidOver {
  /** @param {import('./run_source.js').RunSource} source */
  constructor(source) {
    this.source = source
    /** @type {Map<string, RunState>} */
    this.ticked = new Map()
    /** @type {Map<string, RunState>} */
    this.siblings = new Map() // runs of other stages
    /** @type {string[]} */
    this.wanted = [] // ids of those that are ticked
  }

  /** @param {string[]} ids of runs that were ticked; the last ones where there are too many */
  async tick(ids) {
    this.wanted = ids.slice(-MOST_OVERLAYS)
    for (const id of this.wanted) if (!this.ticked.has(id)) await this.add(this.ticked, id)
    for (const id of [...this.ticked.keys()]) if (!this.wanted.includes(id)) this.ticked.delete(id) // also one that came late
  }

  /** Read the runs of the other stages, where they are not known. @param {RunState} run @param {Stage[]} stages */
  async readSiblings(run, stages) {
    const ids = new Set([run.follows, ...stages.map((stage) => stage.run?.run ?? '')])
    for (const id of ids) if (id && id !== run.run && !this.siblings.has(id)) await this.add(this.siblings, id)
  }

  /** @param {Map<string, RunState>} runs @param {string} id */
  async add(runs, id) {
    const run = await this.source.read(id)
    if (run) runs.set(id, run)
  }

  /** News of a run. @param {Record<string, any>} event */
  hear(event) {
    for (const runs of [this.siblings, this.ticked]) {
      const run = runs.get(String(event.run))
      if (run) takeEvent(run, event)
    }
  }

  /**
   * @param {string} shown id of the run they are drawn with
   * @param {Stage[]} stages of its training
   * @returns {RunState[]}
   */
  runs(shown, stages) {
    const siblings = stages.flatMap(({ name, run }) => {
      const known = run && this.siblings.get(run.run)
      return known ? [{ ...known, label: stageName(name) }] : []
    })
    const ticked = [...this.ticked.values()].filter((other) => siblings.every((one) => one.run !== other.run))
    return [...siblings, ...ticked].filter((other) => other.run !== shown)
  }
}
