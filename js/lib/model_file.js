// What the file at the beginning of a MODEL's wire says of the model before a run tells it.

import { originOf } from './node_inputs.js'

const TOY = 'FewShotToyVideoModel'
const FILE = /^(unet|ckpt|model|diffusion)_name$/
/** @type {[RegExp, number][]} words in the names of published files, and pixel frames of a latent */
const WORDS = [
  [/ltx/i, 8],
  [/wan|cogvideo|hunyuan|kandinsky|bernini/i, 4]
]
const FARTHEST = 32 // nodes between loader and node

/**
 * Pixel frames of a latent of the model that a node is wired to.
 * @param {any} node @param {any} root the workflow's outermost graph
 * @returns {number | null} null where no name tells it
 */
export function compressionOf(node, root) {
  let origin = originOf(node, 'model', root)
  for (let i = 0; origin && i < FARTHEST; i++) {
    if (origin.type === TOY) return 4
    const files = (origin.widgets ?? []).filter(({ name }) => FILE.test(name)).map(({ value }) => String(value))
    if (files.length) return WORDS.find(([word]) => files.some((file) => word.test(file)))?.[1] ?? null
    origin = originOf(origin, 'model', root)
  }
  return null
}
