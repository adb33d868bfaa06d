/**
 * A function that does some work, and never twice at the same time: who calls while it goes on wants to know what
 * has come since it began, so it is done once more, and all wait for that.
 *
 * @param {() => Promise<void>} work
 */
export function oneAtATime(work) {
  let again = false
  /** @type {Promise<void> | null} */
  let under = null
  const repeat = async () => {
    try {
      do {
        again = false
        await work()
      } while (again)
    } finally {
      under = null
    }
  }
  const ask = () => {
    again = Boolean(under)
    under ??= repeat()
    return under
  }
  ask.isBusy = () => under !== null
  return ask
}
