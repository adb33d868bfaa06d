// What does not fit in a TIC-FT sequence, in plain words: the sentences of the nodes, before anything is queued.

import { areRising, formatLevels, linearLevels, parseLevels } from './timeline_levels.js'

const WANTED = {
  image: 'one image to condition',
  clip: 'one clip to condition',
  'clip and image': 'a clip to condition and the first frame of the new scene to condition_2',
  images: 'images to condition (a batch, or one a socket)',
  anything: 'at least one image or clip'
}

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
  return { input: 'task', text: `the LoRA was trained for '${trained.task}', the task is '${task}'; choose one of them` }
}

function targetProblem(frames, { condition, buffer }, { compression, timePatch }) {
  if (frames == null) return null
  const prefix = condition + buffer
  const step = compression * timePatch
  const least = prefix ? step : 1 + compression * (timePatch - 1)
  const spare = (((frames - least) % step) + step) % step
  if (!spare && frames >= least) return null
  const low = Math.max(frames - spare, least)
  const what = `a multiple of ${step}` + (prefix ? '' : ` plus ${least} (there is no condition)`)
  return { input: 'target_frames', text: `target_frames ${frames} must be ${what}; use ${low} or ${low + step}` }
}

/** @param {import('./timeline_layout.js').Numbers} numbers @param {number} buffer */
function levelsProblem({ levels, trained = {} }, buffer) {
  const given = parseLevels(levels)
  const problem = (text) => ({ input: 'buffer_levels', text })
  if (given === null) return problem(`buffer levels "${levels.trim()}" are not numbers; write them like 0.25, 0.5, 0.75`)
  if (!given.length) return null // those of the LoRA are checked by the node
  if (given.length !== buffer) {
    return problem(
      `${counted(given.length, 'buffer level')} for ${counted(buffer, 'buffer latent')}; give one level per buffer, ` +
        `or leave the levels empty for ${trained.levels ? 'those of the training' : 'evenly rising ones'}`
    )
  }
  if (areRising(given)) return null
  return problem(`buffer levels must rise and lie between 0 and 1, like ${formatLevels(linearLevels(buffer))}`)
}

function patchProblems(counts, timePatch) {
  return Object.entries(counts)
    .filter(([role, count]) => role !== 'target' && count % timePatch)
    .map(([role, count]) => {
      const low = count - (count % timePatch)
      const use = low ? `${low} or ${low + timePatch}` : `${low + timePatch}`
      const text = `this model takes latent frames ${timePatch} at a time, ${role} has ${count}; use ${use}`
      return { input: `${role}_latents`, text }
    })
}

/**
 * Too few or too many conditions, too few latents for them, too few frames in them.
 * @param {import('./timeline_layout.js').Numbers} numbers
 * @param {{condition: number, buffer: number}} counts @param {string} reads @param {number} compression
 */
function conditionProblems({ task, connected = null, lengths = [] }, { condition, buffer }, reads, compression) {
  const few = (text) => ({ input: 'condition_latents', text: `too few condition latents: ${text}` })
  const found = []
  if (reads === 'clip and image' && condition < 2) found.push(few(`'${task}' needs 2 or more, one for the new scene`))
  const images = reads === 'images' ? (lengths.length ? sum(lengths) : (connected ?? 0)) : 0
  if (images > Math.max(condition, 1)) found.push(few(`${images} images need one each, there ${are(condition)}`))
  const clips = sum(lengths.map((length) => 1 + Math.floor((length - 1) / compression)))
  if (reads === 'anything' && clips > condition + buffer) {
    found.push(few(`the conditions fill ${clips}, condition and buffers have ${condition + buffer}`))
  }
  if (connected !== null) found.push(...wiringProblems(task, connected, reads))
  const latents = reads === 'clip and image' ? condition - 1 : condition + buffer // of the clip
  return [...found, ...lengthProblems(task, lengths, 1 + compression * (latents - 1), reads)]
}

function wiringProblems(task, connected, reads) {
  const [least, most] = { image: [1, 1], clip: [1, 1], 'clip and image': [2, 2] }[reads] ?? [1, Infinity]
  if (connected >= least && connected <= most) return []
  const got = connected ? counted(connected, 'condition') : 'no condition'
  return [{ input: 'condition', text: `'${task}' has ${got}; connect ${WANTED[reads]}, or set both counts to 0` }]
}

/** Images where clips are read and the other way round, and a clip that ends before its latents do. */
function lengthProblems(task, lengths, wanted, reads) {
  const problem = (text) => [{ input: 'condition', text }]
  const isClip = { image: [false], clip: [true], 'clip and image': [true, false] }[reads]
  if (!isClip || lengths.length !== isClip.length) return [] // none is known, or the wires are reported
  const wrong = isClip.findIndex((clip, i) => (reads === 'clip and image' && i === 0 ? false : clip !== lengths[i] > 1))
  if (wrong >= 0) {
    const got = counted(lengths[wrong], 'frame')
    return problem(`condition ${wrong + 1} has ${got}; '${task}' wants ${WANTED[reads]}`)
  }
  if (reads === 'image' || lengths[0] >= wanted) return []
  return problem(`too few condition frames: the clip has ${lengths[0]} of ${wanted}; it goes on with its last frame`)
}

function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function are(count) {
  return count === 1 ? 'is 1' : `are ${count}`
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0)
}
