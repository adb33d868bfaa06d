// What does not fit in a TIC-FT sequence, in plain words: the sentences of the nodes, before anything is queued.

import { EN } from '../texts/en.js'
import { fill, inLanguage } from '../texts/language.js'
import { TEXTS as PARTS } from './timeline_text.js'
import { areRising, formatLevels, linearLevels, parseLevels } from './timeline_levels.js'

const TEXTS = inLanguage(EN.problems)
const WANTED = /** @type {Record<string, string>} */ (inLanguage(EN.wanted))

/**
 * @param {import('./timeline_layout.js').Numbers} numbers
 * @param {{condition: number, buffer: number, target: number}} counts
 * @param {string} reads what the task reads
 * @param {{compression: number, timePatch: number}} model
 * @returns {import('./timeline_layout.js').Problem[]}
 */
export function findProblems(numbers, counts, reads, model) {
  return [
    taskProblem(numbers),
    targetProblem(numbers.targetFrames, counts, model),
    levelsProblem(numbers, counts.buffer),
    ...patchProblems(counts, model.timePatch),
    ...(counts.condition + counts.buffer ? conditionProblems(numbers, counts, reads, model.compression) : [])
  ].filter((problem) => problem !== null)
}

/** @param {import('./timeline_layout.js').Numbers} numbers */
function taskProblem({ task, trained = {} }) {
  if (!trained.task || trained.task === task) return null
  return { input: 'task', text: fill(TEXTS.task, { trained: trained.task, task }) }
}

function targetProblem(frames, { condition, buffer }, { compression, timePatch }) {
  if (frames == null) return null
  const prefix = condition + buffer
  const step = compression * timePatch
  const least = prefix ? step : 1 + compression * (timePatch - 1)
  const spare = (((frames - least) % step) + step) % step
  if (!spare && frames >= least) return null
  const low = Math.max(frames - spare, least)
  const values = { frames, step, least, low, high: low + step }
  return { input: 'target_frames', text: fill(prefix ? TEXTS.target : TEXTS.targetAlone, values) }
}

/** @param {import('./timeline_layout.js').Numbers} numbers @param {number} buffer */
function levelsProblem({ levels, trained = {} }, buffer) {
  const given = parseLevels(levels)
  const problem = (text) => ({ input: 'buffer_levels', text })
  if (given === null) return problem(fill(TEXTS.noNumbers, { levels: levels.trim() }))
  if (!given.length) return null // those of the LoRA are checked by the node
  if (given.length !== buffer) {
    const values = { levels: counted(given.length, 'Level'), latents: counted(buffer, 'Buffer') }
    return problem(fill(trained.levels ? TEXTS.levelsTrained : TEXTS.levelsRising, values))
  }
  if (areRising(given)) return null
  return problem(fill(TEXTS.order, { levels: formatLevels(linearLevels(buffer)) }))
}

function patchProblems(counts, timePatch) {
  return Object.entries(counts)
    .filter(([role, count]) => role !== 'target' && count % timePatch)
    .map(([role, count]) => {
      const low = count - (count % timePatch)
      const use = low ? fill(TEXTS.either, { low, high: low + timePatch }) : low + timePatch
      const text = fill(TEXTS.patch, { patch: timePatch, role: PARTS[role], count, use })
      return { input: `${role}_latents`, text }
    })
}

/**
 * Too few or too many conditions, too few latents for them, too few frames in them.
 * @param {import('./timeline_layout.js').Numbers} numbers
 * @param {{condition: number, buffer: number}} counts @param {string} reads @param {number} compression
 */
function conditionProblems({ task, connected = null, lengths = [] }, { condition, buffer }, reads, compression) {
  const few = (text, values) => ({ input: 'condition_latents', text: fill(text, values) })
  const found = []
  if (reads === 'clip and image' && condition < 2) found.push(few(TEXTS.fewScene, { task }))
  const images = reads === 'images' ? (lengths.length ? sum(lengths) : (connected ?? 0)) : 0
  if (images > Math.max(condition, 1)) {
    found.push(few(condition === 1 ? TEXTS.fewForOne : TEXTS.fewForMany, { images, count: condition }))
  }
  const clips = sum(lengths.map((length) => 1 + Math.floor((length - 1) / compression)))
  if (reads === 'anything' && clips > condition + buffer) {
    found.push(few(TEXTS.fewClips, { clips, count: condition + buffer }))
  }
  if (connected !== null) found.push(...wiringProblems(task, connected, reads))
  const latents = reads === 'clip and image' ? condition - 1 : condition + buffer // of the clip
  return [...found, ...lengthProblems(task, lengths, 1 + compression * (latents - 1), reads)]
}

function wiringProblems(task, connected, reads) {
  const [least, most] = { image: [1, 1], clip: [1, 1], 'clip and image': [2, 2] }[reads] ?? [1, Infinity]
  if (connected >= least && connected <= most) return []
  const got = connected ? counted(connected, 'Condition') : TEXTS.noCondition
  return [{ input: 'condition', text: fill(TEXTS.wiring, { task, got, wanted: WANTED[reads] }) }]
}

/** Images where clips are read and the other way round, and a clip that ends before its latents do. */
function lengthProblems(task, lengths, wanted, reads) {
  const problem = (text) => [{ input: 'condition', text }]
  const isClip = { image: [false], clip: [true], 'clip and image': [true, false] }[reads]
  if (!isClip || lengths.length !== isClip.length) return [] // none is known, or the wires are reported
  const wrong = isClip.findIndex((clip, i) => (reads === 'clip and image' && i === 0 ? false : clip !== lengths[i] > 1))
  if (wrong >= 0) {
    const got = counted(lengths[wrong], 'Frame')
    return problem(fill(TEXTS.kind, { number: wrong + 1, got, task, wanted: WANTED[reads] }))
  }
  if (reads === 'image' || lengths[0] >= wanted) return []
  return problem(fill(TEXTS.short, { frames: lengths[0], wanted }))
}

/** @param {number} count @param {'Level' | 'Buffer' | 'Condition' | 'Frame'} noun */
function counted(count, noun) {
  const texts = /** @type {Record<string, string>} */ (TEXTS)
  return fill(count === 1 ? texts[`one${noun}`] : texts[`many${noun}s`], { count })
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0)
}
