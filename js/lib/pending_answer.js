/** Until when the answer to a command holds: the command was carried out, or another run goes on, or none. */

export class PendingAnswer {
  constructor() {
    this.command = '' // whose answer is shown
    this.running = '' // id of the run that goes on
  }

  /** A command is given. @param {string} command */
  give(command) {
    this.command = command
  }

  /** Whether a command is still to be carried out. @param {string} command */
  isOpen(command) {
    return this.command === command
  }

  /**
   * News of a run.
   * @param {Record<string, any>} event
   * @returns {boolean} whether the answer no longer holds
   */
  hear(event) {
    const { note, sample } = event.news ?? {}
    const text = String(event.text ?? '')
    const done = this.command === 'save' ? saved(event) : this.command === 'sample' && (Boolean(sample) || (note && /^the preview /.test(text)))
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
    this.command = ''
    return true
  }
}

/** Whether an event tells that a run's state was saved. @param {Record<string, any>} event */
export function saved(event) {
  return Boolean(event.news?.note) && String(event.text).startsWith('saved')
}
