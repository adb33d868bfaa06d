/** Finds the run of a node, keeps it up to date and has it drawn: from events while it goes on, from the routes else. */

import { saveIsDue } from '../lib/autosave.js'
import { belongs, runOf, summaryOf, takeEvent } from '../lib/run_state.js'
import { TEXTS } from '../lib/training_texts.js'
import { MOST_OVERLAYS } from './curve_choice.js'
import { throttled } from './elements.js'
import { TrainingView } from './training_view.js'

/**
 * @typedef {import('../lib/run_state.js').RunState} RunState
 * @typedef {import('../lib/run_state.js').Summary} Summary
 * @typedef {{
 *   fetch: (path: string, options?: RequestInit) => Promise<Response>,
 *   address: (sample: import('../lib/run_state.js').Sample) => string,
 *   place: () => { ids: string[], workflow: string },
 *   interval: () => number,
 *   autosave: () => number,
 * }} Page what the front end is asked; `place` are the ids of the node and its workflow, `interval` the milliseconds
 *   between two drawings, `autosave` the minutes between two saves
 */

const RUNS = '/fewshot_video/runs'
const CATCH_UP = 3000 // milliseconds between two readings of the history while a run goes on

export class RunFollower {
  /** @param {Page} page */
  constructor(page) {
    this.page = page
    /** @type {RunState | null} */
    this.run = null
    /** @type {Summary[]} */
    this.list = []
    /** @type {Map<string, RunState>} */
    this.others = new Map()
    /** @type {string | undefined} */
    this.trouble = undefined
    this.wanted = '' // id of the run to show
    this.live = '' // id of the run that events last told of
    this.savedAt = performance.now()
    this.gone = false
    /** @type {Promise<void> | null} */
    this.reading = null
    this.view = new TrainingView({
      order: (name) => this.order(name),
      show: (id) => void this.show(id),
      overlay: (ids) => void this.overlay(ids),
      list: () => void this.readList(),
      changed: () => this.draw(),
      address: page.address,
    })
    this.draw = throttled(() => this.drawNow(), page.interval)
    this.catchUp = throttled(() => void this.read(), () => CATCH_UP)
  }

  /** Look for the newest run of the node, unless one is shown already. */
  async find() {
    await this.readList()
    if (!this.wanted && this.list.length) await this.show(this.list[0].run)
  }

  /** A run was told of on the websocket. @param {Record<string, any>} event */
  hear(event) {
    const { ids, workflow } = this.page.place()
    const summary = summaryOf(event)
    if (!belongs(summary, ids, workflow)) return
    if (summary.run !== this.live) {
      this.live = summary.run // a run that begins takes over from one that is looked at
      if (this.wanted !== summary.run) void this.show(summary.run)
    }
    this.list = [summary, ...this.list.filter((other) => other.run !== summary.run)]
    if (this.run?.run === summary.run) {
      takeEvent(this.run, event)
      this.goOn(event)
    }
    this.draw()
  }

  /** What follows from news of the run that is shown. @param {Record<string, any>} event */
  goOn(event) {
    if (!this.run?.live) void this.read() // for the whole curve
    else if (this.run.gaps || this.view.choice.choice.buckets) this.catchUp()
    if (this.run?.live) this.saveWhenDue(event)
  }

  /** Save the run that goes on, where the user wants that and nobody has. @param {Record<string, any>} event */
  saveWhenDue(event) {
    const now = performance.now()
    const saved = event.news?.note && String(event.text).startsWith('saved')
    if (saved || event.news?.started) this.savedAt = now
    if (!saveIsDue(this.page.autosave(), this.savedAt, now)) return
    this.savedAt = now
    this.order('save').catch(() => {}) // the next time is soon enough
  }

  /** The node has a result, newly made or served from the host's cache. @param {Record<string, any>} output */
  executed(output) {
    const id = output?.fewshot_run?.[0]
    if (typeof id === 'string' && id) void this.show(id)
  }

  /** @param {string} id */
  async show(id) {
    this.wanted = id
    this.trouble = undefined
    if (this.run?.run !== id) this.run = null
    await this.read()
  }

  /** Read the run that is wanted; calls that come meanwhile wait for the same answer. */
  async read() {
    if (!this.wanted) return
    const id = this.wanted
    this.reading ??= this.readRun(id).finally(() => (this.reading = null))
    await this.reading
    if (!this.gone && this.run?.run !== this.wanted && !this.trouble) await this.read()
  }

  /** @param {string} id */
  async readRun(id) {
    const table = await this.ask(`${RUNS}/${encodeURIComponent(id)}`)
    if (this.wanted !== id || this.gone) return
    this.trouble = table ? undefined : TEXTS.unreachable
    if (table?.error) this.trouble = TEXTS.unknown
    else if (table) this.run = runOf(table)
    this.draw()
  }

  /** Read which runs the node has had. */
  async readList() {
    const { ids, workflow } = this.page.place()
    const found = await this.ask(RUNS)
    if (this.gone || !Array.isArray(found?.runs)) return
    this.list = found.runs.map(summaryOf).filter((/** @type {Summary} */ run) => belongs(run, ids, workflow))
    this.draw()
  }

  /** @param {string[]} ids of runs to lay over the curves, the last ones where there are too many */
  async overlay(ids) {
    const wanted = ids.slice(-MOST_OVERLAYS)
    for (const id of [...this.others.keys()]) if (!wanted.includes(id)) this.others.delete(id)
    for (const id of wanted) {
      if (this.others.has(id)) continue
      const table = await this.ask(`${RUNS}/${encodeURIComponent(id)}`)
      if (table && !table.error) this.others.set(id, runOf(table))
    }
    this.draw()
  }

  /** @param {string} name */
  async order(name) {
    const path = `${RUNS}/${encodeURIComponent(this.wanted)}/${name}`
    const answer = await (await this.page.fetch(path, { method: 'POST' })).json()
    if (answer.error) {
      void this.read()
      throw new Error(answer.error)
    }
    return String(answer.text ?? '')
  }

  /** The JSON of an answer, errors of ours among them; null where there is none. @param {string} path */
  async ask(path) {
    try {
      return await (await this.page.fetch(path)).json()
    } catch {
      return null
    }
  }

  drawNow() {
    if (this.gone) return
    const others = [...this.others.values()].filter((other) => other.run !== this.run?.run)
    const waiting = this.wanted && !this.run ? TEXTS.loading : undefined
    this.view.draw(this.run, others, this.list, this.trouble ?? waiting)
  }

  destroy() {
    this.gone = true
    this.draw.cancel()
    this.catchUp.cancel()
    this.view.destroy()
  }
}
