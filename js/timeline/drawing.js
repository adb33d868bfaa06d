/** Drawing the timeline's state into its elements. */

import { element, say } from '../panel/elements.js'
import { framesAt, ROLES, secondsOf } from '../lib/timeline_layout.js'
import { initialOf, keptText, latentsText, levelText, movingText, partText, summaryOf } from '../lib/timeline_text.js'

const PAGE = 4 // latents of a Page key

/** Texts, handles and warnings of a state; the bars themselves are there already. */
export function draw(parts, handles, { sequence, off, limits, step, task, tasks, fps, notes }) {
  if (parts.task.options.length !== tasks.length) {
    parts.task.replaceChildren(...tasks.map((name) => element('option', { value: name, text: name })))
  }
  parts.task.value = task
  parts.task.disabled = off.task
  if (document.activeElement !== parts.fps) parts.fps.value = String(fps)
  say(parts.summary, summaryOf(sequence))
  say(parts.kept, keptText(sequence, secondsOf(sequence.kept, fps)))
  parts.rate.hidden = sequence.assumed
  drawBorders(handles.borders, sequence, off, limits, step)
  drawLevels(handles.levels, sequence, off)
  drawCounts(parts.counts, sequence)
  drawMessages(parts.messages, sequence.problems, notes)
}

function drawBorders(borders, sequence, off, limits, step) {
  let before = 0
  ROLES.forEach((role, i) => {
    before += sequence[role]
    const border = borders[i]
    const knob = border.element
    knob.style.left = `${(100 * before) / sequence.bars.length}%`
    knob.hidden = limits[role] === null
    const text = latentsText(role, sequence[role], off[role])
    const min = role === 'target' ? step : 0
    border.set({ value: sequence[role], min, max: limits[role] ?? 0, step, page: PAGE * step, text, off: off[role] })
  })
}

function drawLevels(levels, sequence, off) {
  levels.forEach((handle, i) => {
    const level = sequence.levels[i]
    const knob = handle.element
    knob.style.left = `${(100 * (sequence.condition + i)) / sequence.bars.length}%`
    knob.style.width = `${100 / sequence.bars.length}%`
    knob.style.bottom = `${100 * level}%`
    const text = levelText(i + 1, level, off.levels)
    handle.set({ value: level, min: 0, max: 1, step: 0.01, page: 0.1, text, off: off.levels })
  })
}

function drawCounts(row, { parts, bars, assumed }) {
  row.replaceChildren(
    ...parts.map((part) => {
      const frames = assumed && part.role === 'target' ? '?' : part.frames
      const text = `${initialOf(part.role)} ${frames}`
      const cell = element('span', { class: 'fewshot-count', title: partText(part), text })
      cell.style.flexGrow = String(part.latents / bars.length)
      return cell
    })
  )
}

function drawMessages(list, problems, notes) {
  const lines = [...problems.map(({ text }) => `⚠ ${text}`), ...notes]
  if ([...list.children].map((line) => line.textContent).join('\n') === lines.join('\n')) return
  list.replaceChildren(...lines.map((text) => element('li', { text })))
}

/** Fill each bar up to where its frame is at the noise level; frozen frames are hatched. */
export function drawSigma(parts, handles, { sequence }, sigma) {
  const states = framesAt(sequence.bars, sigma)
  states.forEach(({ level, moves }, i) => {
    const cell = parts.cells.children[i]
    cell.classList.toggle('fewshot-frozen', !moves)
    cell.firstElementChild.style.height = `${100 * level}%`
  })
  const text = movingText(sequence.bars, states, sigma)
  say(parts.moving, text)
  parts.line.style.bottom = `${100 * sigma}%`
  handles.sigma.element.style.left = `${100 * sigma}%`
  handles.sigma.set({ value: sigma, min: 0, max: 1, step: 0.01, page: 0.1, text })
}
