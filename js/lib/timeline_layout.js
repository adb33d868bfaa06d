// The sequence of TIC-FT from the numbers of a node: counts, bars, pixel frames. The rules are those of
// methods/tic_ft.py and nodes/host/sampling/context.py; tests/js/test_timeline_layout.py compares them.

import { TASKS, UNKNOWN_TASK } from './tic_ft_tasks.js'
import { areRising, linearLevels, parseLevels, sameLevel } from './timeline_levels.js'
import { findProblems } from './timeline_words.js'

/** @typedef {'condition' | 'buffer' | 'target'} Role */
/** @typedef {{role: Role, level: number, number: number}} Bar one latent frame, `number` counts within its role */
/** @typedef {{role: Role, latents: number, frames: number, from: number, to: number}} Part pixel frames from 1 on */
/** @typedef {{input: string, text: string}} Problem the input to change, and a sentence */

/**
 * @typedef {{task?: string, condition?: number, buffer?: number, target?: number, levels?: number[]}} Trained
 *
 * What a node is set to. Counts are latent frames, lengths pixel frames; -1 means the task's or as trained.
 * @typedef {object} Numbers
 * @property {string} task
 * @property {number} condition
 * @property {number} buffer
 * @property {string} levels empty for evenly rising ones
 * @property {number | null} targetFrames pixel frames; null where the data set decides
 * @property {number} [compression] pixel frames of a latent
 * @property {number} [timePatch] latent frames of a patch
 * @property {Trained} [trained] what -1 and empty mean with a LoRA, or in a run
 * @property {number | null} [connected] conditions that are wired; null where it is not known
 * @property {number[]} [lengths] pixel frames of the conditions
 */

/**
 * @typedef {object} Sequence
 * @property {number} condition latents
 * @property {number} buffer latents
 * @property {number} target latents
 * @property {boolean} assumed whether the target's length is a guess
 * @property {number[]} levels
 * @property {Bar[]} bars
 * @property {Part[]} parts without those that have no latents
 * @property {number} frames pixel frames that are decoded
 * @property {number} kept pixel frames after the crop
 * @property {Problem[]} problems
 */

/** @type {Role[]} the parts of a sequence in order */
export const ROLES = ['condition', 'buffer', 'target']
const ASSUMED_TARGET = { image: 9 } // latents; the paper's for its tasks
const ASSUMED_TARGET_ELSE = 6

/** @param {Numbers} numbers @returns {Sequence} */
export function planSequence(numbers) {
  const { compression = 4, timePatch = 1, trained = {} } = numbers
  const task = TASKS[numbers.task] ?? UNKNOWN_TASK
  const buffer = chosen(numbers.buffer, trained.buffer, roundedUp(task.buffer, timePatch))
  const usual = usualCondition(numbers, task.condition, buffer, compression)
  const condition = chosen(numbers.condition, trained.condition, roundedUp(usual, timePatch))
  const assumed = numbers.targetFrames == null && trained.target == null
  const target = targetOf(numbers, task.reads, condition + buffer, compression)
  const levels = drawnLevels(numbers.levels, trained.levels, buffer)
  const counts = { condition, buffer, target }
  return {
    ...counts,
    assumed,
    levels,
    bars: barsOf(counts, levels),
    parts: partsOf(counts, compression),
    frames: pixelFrames(condition + buffer + target, compression),
    kept: keptFrames(counts, compression),
    problems: findProblems(numbers, counts, task.reads, { compression, timePatch })
  }
}

/** Pixel frames that latent frames of a causal VAE stand for: `1 + c (n - 1)`, 0 for 0. */
export function pixelFrames(latents, compression = 4) {
  return latents > 0 ? 1 + compression * (latents - 1) : 0
}

/** Whole latent frames that pixel frames fill: `1 + (N - 1) // c`, 0 for 0. */
export function latentFrames(pixels, compression = 4) {
  return pixels > 0 ? 1 + Math.floor((pixels - 1) / compression) : 0
}

/** Pixel frames of a target of so many latents, behind `prefix` others: what TIC-FT Crop keeps. */
export function targetFramesOf(latents, prefix, compression = 4) {
  return prefix ? compression * latents : pixelFrames(latents, compression)
}

/** Seconds of so many frames; null where the rate is no positive number. */
export function secondsOf(frames, fps) {
  return fps > 0 ? frames / fps : null
}

/**
 * Where each frame is at the global noise level `sigma`, `min(sigma, its own level)`, and whether it moves with it.
 * @param {Bar[]} bars @param {number} sigma @returns {{level: number, moves: boolean}[]}
 */
export function framesAt(bars, sigma) {
  return bars.map(({ role, level }) => ({
    level: Math.min(sigma, level),
    moves: role === 'target' || (role === 'buffer' && (level >= sigma || sameLevel(level, sigma)))
  }))
}

/** The next count of latent frames that fills whole patches. */
function roundedUp(count, timePatch) {
  return Math.ceil(count / timePatch) * timePatch
}

/**
 * Condition latents of a task: its own, and for `custom` what its clips fill besides the buffers.
 * @param {Numbers} numbers @param {number} usual @param {number} buffer @param {number} compression
 */
function usualCondition({ task, lengths = [] }, usual, buffer, compression) {
  if (task !== 'custom' || !lengths.length) return usual
  const filled = lengths.reduce((sum, length) => sum + latentFrames(length, compression), 0)
  return Math.max(1, filled - buffer)
}

function chosen(given, trained, usual) {
  return given >= 0 ? given : (trained ?? usual)
}

/** Latents of the target; what does not fill a latent is left out, and shown elsewhere. */
function targetOf(numbers, reads, prefix, compression) {
  if (numbers.targetFrames == null) return numbers.trained?.target ?? ASSUMED_TARGET[reads] ?? ASSUMED_TARGET_ELSE
  const whole = prefix ? Math.floor(numbers.targetFrames / compression) : latentFrames(numbers.targetFrames, compression)
  return Math.max(1, whole)
}

/** Levels to draw: those asked for, and evenly rising ones where they do not fit. */
function drawnLevels(text, trained, buffer) {
  const given = parseLevels(text)
  const levels = String(text).trim() ? (given ?? []) : (trained ?? [])
  return levels.length === buffer && areRising(levels) ? levels : linearLevels(buffer)
}

/** @returns {Bar[]} */
function barsOf({ condition, buffer, target }, levels) {
  const numbered = (role, count, level) =>
    Array.from({ length: count }, (_, i) => ({ role, level: level(i), number: i + 1 }))
  return [
    ...numbered('condition', condition, () => 0),
    ...numbered('buffer', buffer, (i) => levels[i]),
    ...numbered('target', target, () => 1)
  ]
}

/** @param {Record<Role, number>} counts @param {number} compression @returns {Part[]} */
function partsOf(counts, compression) {
  let latents = 0
  const given = ROLES.filter((role) => counts[role])
  return given.map((role) => {
    const count = counts[role]
    const from = pixelFrames(latents, compression) + 1
    latents += count
    const to = pixelFrames(latents, compression)
    return { role, latents: count, frames: to - from + 1, from, to }
  })
}

function keptFrames({ condition, buffer, target }, compression) {
  return targetFramesOf(target, condition + buffer, compression)
}
