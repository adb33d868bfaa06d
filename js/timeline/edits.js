// What a user does to the timeline, as changes of the node's inputs.

import { planSequence, targetFramesOf } from '../lib/timeline_layout.js'
import { formatLevels, moveLevel, resampleLevels } from '../lib/timeline_levels.js'
import { FPS } from './state.js'

const INPUT_OF = { condition: 'condition_latents', buffer: 'buffer_latents' }

/**
 * @param {any} node
 * @param {() => ReturnType<typeof import('./state.js').readState>} read
 * @param {{refresh: () => void, capture: () => void}} host `capture` makes a step of undo
 * @returns {import('./view.js').Edits}
 */
export function editsOf(node, read, { refresh, capture }) {
  const set = (values) => {
    const { inputs } = read()
    for (const [name, value] of Object.entries(values)) {
      const input = inputs[name]
      if (input && !input.linked && input.value !== value) input.set(value)
    }
    refresh()
  }
  const edit = (values) => {
    set(values)
    capture()
  }
  const own = { condition_latents: -1, buffer_latents: -1, buffer_levels: '' }
  return {
    task: (task) => edit({ task, ...own }),
    count: (role, latents) => set(countValues(read(), role, latents)),
    level: (index, level) =>
      set({ buffer_levels: formatLevels(moveLevel(read().sequence.levels, index, level)) }),
    resetLevels: () => set({ buffer_levels: '' }),
    reset: () => edit(own),
    fps: (fps) => {
      if (fps > 0) node.properties[FPS] = fps
      else delete node.properties[FPS]
      refresh()
      capture()
    },
    done: capture
  }
}

/** Inputs that make a part so many latents long; levels that were given go on over another number of buffers. */
function countValues({ inputs, numbers, sequence }, role, latents) {
  const { compression = 4, timePatch = 1 } = numbers
  if (role === 'target') {
    const prefix = sequence.condition + sequence.buffer
    return latents === null ? {} : { target_frames: targetFramesOf(whole(latents, timePatch), prefix, compression) }
  }
  const values = { [INPUT_OF[role]]: latents === null ? -1 : whole(latents, timePatch) }
  if (role !== 'buffer' || !inputs.buffer_levels?.value?.trim()) return values
  const buffer = latents ?? planSequence({ ...numbers, buffer: -1 }).buffer
  return { ...values, buffer_levels: formatLevels(resampleLevels(sequence.levels, buffer)) }
}

function whole(latents, timePatch) {
  return Math.round(latents / timePatch) * timePatch
}
