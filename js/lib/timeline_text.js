// The texts of the timeline that are no warnings.

/** Initials of the parts, as they stand under the bars. @type {Record<string, string>} */
export const LETTER = { condition: 'C', buffer: 'B', target: 'T' }

/** @param {import('./timeline_layout.js').Sequence} sequence */
export function summaryOf({ condition, buffer, target, assumed, frames }) {
  const before = `${condition} condition + ${buffer} buffer`
  return assumed ? `${before} + target latents` : `${before} + ${target} target latents = ${frames} frames`
}

/**
 * Frames that move at a noise level, and those that are frozen: in initials, or in words.
 * @param {import('./timeline_layout.js').Bar[]} bars @param {{moves: boolean}[]} states
 * @param {number} sigma @param {boolean} inWords
 */
export function movingText(bars, states, sigma, inWords) {
  const named = (role, moves) => {
    const count = bars.filter((bar, i) => bar.role === role && states[i].moves === moves).length
    return count ? [inWords ? `${count} ${role}` : `${LETTER[role]} ${count}`] : []
  }
  const and = inWords ? ' + ' : ' '
  const moving = [...named('target', true), ...named('buffer', true)].join(and)
  const frozen = [...named('condition', false), ...named('buffer', false)].join(and)
  const level = inWords ? `noise level ${sigma.toFixed(2)}` : sigma.toFixed(2)
  return `${level}: ${moving} move` + (frozen ? `, ${frozen} frozen` : '')
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
