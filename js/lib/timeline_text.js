// The texts of the timeline that are no warnings.

/** Initials of the parts, as they stand under the bars. @type {Record<string, string>} */
export const LETTER = { condition: 'C', buffer: 'B', target: 'T' }

/** @param {import('./timeline_layout.js').Sequence} sequence */
export function summaryOf({ condition, buffer, target, assumed, frames }) {
  const before = `${condition} condition + ${buffer} buffer`
  return assumed ? `${before} + target latents` : `${before} + ${target} target latents = ${frames} frames`
}

/**
 * Which parts move at a noise level and which are frozen.
 * @param {import('./timeline_layout.js').Bar[]} bars @param {{moves: boolean}[]} states
 * @param {number} sigma
 */
export function movingText(bars, states, sigma) {
  const part = (role, moves) => {
    const all = bars.filter((bar) => bar.role === role).length
    const count = bars.filter((bar, i) => bar.role === role && states[i].moves === moves).length
    if (!count) return []
    return [count === all ? role : `${count} of ${all} ${role}s`]
  }
  const roles = (moves) => ['condition', 'buffer', 'target'].flatMap((role) => part(role, moves)).join(' and ')
  const [moving, frozen] = [roles(true), roles(false)]
  return `noise ${sigma.toFixed(2)}: moving ${moving || 'nothing'}` + (frozen ? `; frozen ${frozen}` : '')
}

/** What is left after TIC-FT Crop, in front of the frames per second. */
export function keptText({ kept, assumed }, seconds) {
  if (assumed) return 'The target is as long as the clips; a run shows it.'
  const time = seconds === null ? '' : ` = ${Number(seconds.toFixed(2))} s`
  return `After the crop: ${kept} frame${kept === 1 ? '' : 's'}${time} at`
}

/** Frames of video that a part stands for. */
export function partText({ role, latents, frames, from, to }) {
  const range = from === to ? `frame ${from}` : `frames ${from} to ${to}`
  return `${role}: ${latents} latent${latents === 1 ? '' : 's'}, ${range} of the decoded video (${frames})`
}

/** @param {string[]} names inputs that are wired and whose values no run has told yet */
export function linkedText(names) {
  if (!names.length) return ''
  const what = names.length === 1 ? 'is wired: its value shows' : 'are wired: their values show'
  return `${names.join(', ')} ${what} after a run`
}
