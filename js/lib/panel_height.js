/** How high a training panel is at least: on a wide node its parts stand side by side. */

export const MARGIN = 24 // pixels of the node's width that are not the panel's
// From which width of the panel on, and the least height without and with previews; js/training_panel.css has the same.
const FORMS = [
  { from: 780, plain: 300, previews: 300 },
  { from: 600, plain: 300, previews: 490 },
  { from: 0, plain: 500, previews: 690 },
]

/**
 * @param {number} width of the node, in pixels
 * @param {boolean} previews whether there are some
 * @returns {number} pixels, the margin of the row among them
 */
export function panelHeight(width, previews) {
  const form = FORMS.find(({ from }) => width - MARGIN >= from) ?? FORMS[FORMS.length - 1]
  return previews ? form.previews : form.plain
}
