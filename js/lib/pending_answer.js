/** Until when the answer to an order holds: what was ordered has happened, or another run goes on, or none. */

export class PendingAnswer {
  constructor() {
    this.order = '' // whose answer is said
    this.running = '' // id of the run that goes on
  }

  /** An order is given. @param {string} order */
  give(order) {
    this.order = order
  }

  /** Whether what was ordered is still to come. @param {string} order */
  isOpen(order) {
    return this.order === order
  }

  /**
   * A run was told of.
   * @param {Record<string, any>} event
   * @returns {boolean} whether the answer no longer holds
   */
  hear(event) {
    const { note, sample } = event.news ?? {}
    const text = String(event.text ?? '')
    const done = this.order === 'save' ? saved(event) : this.order === 'sample' && (Boolean(sample) || (note && /^the preview /.test(text)))
    return Boolean(done) && this.close()
  }

  /**
   * Which run goes on.
   * @param {string} running its id; empty where none does
   * @returns {boolean} whether the answer no longer holds
   */
  see(running) {
    const other = running !== this.running
    this.running = running
    return other && this.close()
  }

  close() {
    this.order = ''
    return true
  }
}

/** Whether an event tells that a run's state was saved. @param {Record<string, any>} event */
export function saved(event) {
  return Boolean(event.news?.note) && String(event.text).startsWith('saved')
}
