/** What the server knows of runs, and commands to them. */

import { runOf, summaryOf } from '../lib/run_state.js'

/**
 * @typedef {import('../lib/run_state.js').RunState} RunState
 * @typedef {import('../lib/run_state.js').Summary} Summary
 * @typedef {(path: string, options?: RequestInit) => Promise<Response>} Fetch
 */

const RUNS = '/fewshot_video/runs'

export class RunSource {
  /** @param {Fetch} fetch */
  constructor(fetch) {
    this.fetch = fetch
  }

  /** All runs, the newest first; null where nobody answers. @returns {Promise<Summary[] | null>} */
  async list() {
    const found = await this.ask(RUNS)
    return Array.isArray(found?.runs) ? found.runs.map(summaryOf) : null
  }

  /** A run; undefined where it is not known, null where nobody answers. @param {string} id */
  async read(id) {
    const table = await this.ask(`${RUNS}/${encodeURIComponent(id)}`)
    return table && (table.error ? undefined : runOf(table))
  }

  /**
   * @param {string} id
   * @param {string} name
   * @returns {Promise<string>} what follows from it
   */
  async command(id, name) {
    const path = `${RUNS}/${encodeURIComponent(id)}/${name}`
    const answer = await (await this.fetch(path, { method: 'POST' })).json()
    if (answer.error) throw new Error(answer.error)
    return String(answer.text ?? '')
  }

  /** The JSON of an answer, errors of ours among them; null where there is none. @param {string} path */
  async ask(path) {
    try {
      return await (await this.fetch(path)).json()
    } catch {
      return null
    }
  }
}
