/** Finds the run of a node, keeps it up to date and has it drawn: from events while it goes on, from the routes else. */

import { saveIsDue } from '../lib/autosave.js'
import { hasNewest, takesOver, withNews } from '../lib/known_runs.js'
import { NodeExecution } from '../lib/node_execution.js'
import { oneAtATime } from '../lib/one_at_a_time.js'
import { saved } from '../lib/pending_answer.js'
import { belongs, summaryOf, takeEvent } from '../lib/run_state.js'
import { stagesOf } from '../lib/stages.js'
import { TEXTS } from '../lib/training_texts.js'
import { throttled } from './elements.js'
import { LaidOver } from './laid_over.js'
import { RunSource } from './run_source.js'
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

const CATCH_UP = 3000 // milliseconds between two readings of the history while a run goes on

export class RunFollower {
  /** @param {Page} page */
  constructor(page) {
    this.page = page
    /** @type {RunState | null} */
    this.run = null
    /** @type {Summary[]} */
    this.list = []
    this.source = new RunSource((path, options) => this.page.fetch(path, options))
    this.laidOver = new LaidOver(this.source)
    /** @type {string | undefined} */
    this.trouble = undefined
    this.wanted = '' // id of the run to show
    this.live = '' // id of the run that the last event was about
    this.execution = new NodeExecution()
    this.savedAt = performance.now()
    this.gone = false
    /** @type {Map<string, Summary>} */
    this.heard = new Map() // news of runs since the list was last fetched
    this.read = oneAtATime(() => this.readRun(this.wanted)) // its answer is never older than what was heard before
    this.view = new TrainingView({
      command: (name) => this.command(name),
      show: (id) => void this.look(id),
      overlay: (ids) => void this.laidOver.tick(ids).then(() => this.draw()),
      list: () => void this.readList(),
      changed: () => this.draw(),
      address: page.address,
    })
    this.draw = throttled(() => this.drawNow(), page.interval)
    this.catchUp = throttled(() => this.read.isBusy() || void this.read(), () => CATCH_UP)
  }

  /** Look for the node's runs, and read the one that is shown: the newest where there was none, or where it is new. */
  async find() {
    const before = this.list
    await this.readList()
    const newest = this.list[0]?.run
    if (newest && (!this.wanted || hasNewest(before, this.list))) await this.show(newest)
    else await this.read()
  }

  /** News of a run on the websocket. @param {Record<string, any>} event */
  hear(event) {
    const { ids, workflow } = this.page.place()
    const summary = summaryOf(event)
    if (summary.live && ids.includes(summary.node)) this.execution.takeRun() // also where it is another workflow's
    if (!belongs(summary, ids, workflow)) return
    this.view.hear(event)
    if (takesOver(this.list, summary, this.live)) {
      this.live = summary.run // a run that begins takes over from one that is looked at
      if (this.wanted !== summary.run) void this.show(summary.run)
    }
    this.list = withNews(this.list, summary)
    this.heard.set(summary.run, summary)
    this.laidOver.hear(event)
    if (this.run?.run === summary.run) takeEvent(this.run, event)
    if (this.wanted === summary.run) this.goOn(summary)
    if (summary.live) this.saveWhenDue(event)
    this.draw()
  }

  /** News of an execution, of this node or another. @param {string} kind name of the event @param {any} detail */
  tell(kind, detail) {
    const of = kind === 'executing' ? detail : kind === 'progress' ? detail.node : detail.node_id
    const own = of != null && this.page.place().ids.includes(String(of))
    if (kind === 'progress') own && this.execution.goOn(detail.value, detail.max)
    else if (kind === 'executing' && own) this.execution.begin()
    else if (kind === 'execution_error' && own) this.execution.fail(detail)
    else this.execution.end()
    this.draw()
  }

  /** What follows from news of the run that is shown. @param {Summary} news */
  goOn(news) {
    if (!news.live) void this.read() // for the whole curve
    else if (!this.run || this.trouble || this.run.gaps || this.view.choice.choice.buckets) this.catchUp()
  }

  /** Save a run that goes on, shown or not, where the user wants that and nobody has. @param {Record<string, any>} event */
  saveWhenDue(event) {
    const now = performance.now()
    if (saved(event) || event.news?.started) this.savedAt = now
    if (!saveIsDue(this.page.autosave(), this.savedAt, now)) return
    this.savedAt = now
    this.source.command(String(event.run), 'save').catch(() => {}) // the next time is soon enough
  }

  /** The node has a result, newly made or served from the host's cache. @param {Record<string, any>} output */
  executed(output) {
    const id = output?.fewshot_run?.[0]
    this.execution.forget()
    if (typeof id === 'string' && id) void this.show(id)
  }

  /** Show a run because the user wants to see it. @param {string} id */
  async look(id) {
    this.execution.forget()
    await this.show(id)
  }

  /** @param {string} id */
  async show(id) {
    this.wanted = id
    this.trouble = undefined
    if (this.run?.run !== id) this.run = null
    await this.read()
  }

  /** @param {string} id */
  async readRun(id) {
    if (!id) return
    const run = await this.source.read(id)
    if (this.wanted !== id || this.gone) return
    this.trouble = run === null ? TEXTS.unreachable : run ? undefined : TEXTS.unknown
    if (run) {
      this.run = run
      if (run.live) this.execution.takeRun()
      void this.laidOver.readSiblings(run, this.stages()).then(() => this.draw())
    }
    this.draw()
  }

  /** Stages of the training that the shown run is part of; none where it is all there is. */
  stages() {
    return this.run ? stagesOf(this.run, [...this.list, ...this.laidOver.siblings.values()]) : []
  }

  /** Read which runs the node has had. */
  async readList() {
    const { ids, workflow } = this.page.place()
    this.heard.clear()
    const found = await this.source.list()
    if (this.gone || !found) return
    this.list = [...this.heard.values()].reduce(withNews, found.filter((run) => belongs(run, ids, workflow)))
    this.draw()
  }

  /** Give a command to the run that goes on, which may be another stage than the one shown. @param {string} name */
  async command(name) {
    const running = this.stages().find((stage) => stage.run?.live)?.run?.run ?? this.wanted
    try {
      return await this.source.command(running, name)
    } catch (error) {
      void this.read()
      throw error
    }
  }

  drawNow() {
    if (this.gone) return
    const told = this.execution.line(this.run) ?? this.trouble
    const waiting = this.wanted && !this.run ? TEXTS.loading : undefined
    const stages = this.stages()
    this.view.draw(this.run, this.laidOver.runs(this.run?.run ?? '', stages), this.list, told ?? waiting, stages)
  }

  destroy() {
    this.gone = true
    this.draw.cancel()
    this.catchUp.cancel()
    this.view.destroy()
  }
}
