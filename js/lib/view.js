/** Which part of a workflow is seen when it is opened. */

const LARGEST = 1 // of the scale
const READABLE = 0.62 // the canvas draws no letters below 0.57

/**
 * Scale and offset of the canvas that show a box as large as it fits, and its top left corner where that would be too
 * small to read.
 *
 * @param {number[]} box left, top, width and height on the canvas
 * @param {{ left: number, top: number, width: number, height: number }} room of the window, in pixels of the screen
 * @returns {{ scale: number, offset: [number, number] }}
 */
export function viewOf([x, y, width, height], room) {
  const fitting = Math.min(room.width / width, room.height / height)
  const scale = Math.min(LARGEST, Math.max(READABLE, fitting))
  return { scale, offset: [room.left / scale - x, room.top / scale - y] }
}
