// The texts of the timeline that are no warnings. The words are in `js/texts`.

import { EN } from '../texts/en.js'
import { fill, inLanguage } from '../texts/language.js'

export const TEXTS = inLanguage(EN.timeline)
const SOME = { condition: 'someCondition', buffer: 'someBuffer', target: 'someTarget' }

/** Initial of a part, as it stands under its bars. @param {import('./timeline_layout.js').Role} role */
export function initialOf(role) {
  return TEXTS[`${role}Initial`]
}

/** @param {import('./timeline_layout.js').Sequence} sequence */
export function summaryOf({ condition, buffer, target, assumed, frames }) {
  return fill(assumed ? TEXTS.summaryOpen : TEXTS.summary, { condition, buffer, target, frames })
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
    return [count === all ? TEXTS[role] : fill(TEXTS[SOME[role]], { count, all })]
  }
  const joined = (first, second) => fill(TEXTS.both, { first, second })
  const roles = (moves) => ['condition', 'buffer', 'target'].flatMap((role) => part(role, moves))
  const [moving, frozen] = [roles(true), roles(false)].map((names) => (names.length ? names.reduce(joined) : ''))
  const values = { sigma: sigma.toFixed(2), moving: moving || TEXTS.nothing, frozen }
  return fill(frozen ? TEXTS.movingFrozen : TEXTS.moving, values)
}

/** What is left after TIC-FT Crop, in front of the frames per second. */
export function keptText({ kept, assumed }, seconds) {
  if (assumed) return TEXTS.keptOpen
  const values = { count: kept, seconds: seconds === null ? null : Number(seconds.toFixed(2)) }
  if (seconds === null) return fill(kept === 1 ? TEXTS.keptOne : TEXTS.keptMany, values)
  return fill(kept === 1 ? TEXTS.keptOneTime : TEXTS.keptManyTime, values)
}

/** Frames of video that a part stands for. */
export function partText({ role, latents, frames, from, to }) {
  const range = fill(from === to ? TEXTS.frame : TEXTS.range, { from, to })
  const count = fill(latents === 1 ? TEXTS.oneLatent : TEXTS.manyLatents, { count: latents })
  return fill(TEXTS.part, { role: TEXTS[role], latents: count, range, frames })
}

/** Where the end of a part is. @param {boolean} wired whether another node decides it */
export function latentsText(role, count, wired) {
  return fill(wired ? TEXTS.latentsWired : TEXTS.latents, { role: TEXTS[role], count })
}

/** At which noise level a buffer is. @param {number} number from 1 on @param {boolean} wired */
export function levelText(number, level, wired) {
  return fill(wired ? TEXTS.levelWired : TEXTS.levelNow, { number, level: Number(level.toFixed(4)) })
}

/** @param {string[]} names inputs that are wired and whose values no run has told yet */
export function linkedText(names) {
  if (!names.length) return ''
  return fill(names.length === 1 ? TEXTS.wiredOne : TEXTS.wiredMany, { names: names.join(', ') })
}
