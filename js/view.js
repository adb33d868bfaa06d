/** The pack's workflows open where one begins to read; ComfyUI fits every template into the window, however large. */

import { app } from '../../scripts/app.js'
import { viewOf } from './lib/view.js'

const NAME = 'fewshot_view' // in the workflow's file: the box that is to be seen
const AROUND = { left: 75, top: 100, right: 20, bottom: 20 } // pixels: ComfyUI's bars, and a margin

app.registerExtension({
  name: 'FewShotVideo.View',
  afterConfigureGraph() {
    const extra = app.rootGraph?.extra
    const box = extra?.[NAME]
    if (!extra || !Array.isArray(box) || box.length !== 4) return
    delete extra[NAME] // what people save opens as they left it
    requestAnimationFrame(() => requestAnimationFrame(() => show(box))) // after the page has set its own view
  },
})

/** @param {number[]} box */
function show(box) {
  const { width, height } = app.canvas.canvas.getBoundingClientRect()
  const room = { ...AROUND, width: width - AROUND.left - AROUND.right, height: height - AROUND.top - AROUND.bottom }
  if (room.width <= 0 || room.height <= 0) return
  const { scale, offset } = viewOf(box, room)
  app.canvas.ds.scale = scale
  app.canvas.ds.offset[0] = offset[0]
  app.canvas.ds.offset[1] = offset[1]
  app.canvas.setDirty(true, true)
}
