// The tasks of TIC-FT as the page needs them; methods/tic_ft_tasks.py is the original, and
// tests/js/test_timeline_layout.py compares the two.

/**
 * What a task's condition is and how many latent frames it takes.
 * @typedef {{condition: number, buffer: number, reads: string}} Task
 */

/** @type {Record<string, Task>} */
export const TASKS = {
  'image to video': { condition: 1, buffer: 3, reads: 'image' },
  'video to video': { condition: 4, buffer: 3, reads: 'clip' },
  keyframes: { condition: 4, buffer: 3, reads: 'images' },
  'multiple images': { condition: 4, buffer: 3, reads: 'images' },
  'action transfer': { condition: 7, buffer: 0, reads: 'clip and image' },
  custom: { condition: 1, buffer: 3, reads: 'anything' }
}

/** What stands in for a task this table does not know. */
export const UNKNOWN_TASK = TASKS.custom
