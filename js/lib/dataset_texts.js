/** What the table of clips says besides what the node found. The words are in `js/texts`. */

import { EN } from '../texts/en.js'
import { fill, inLanguage } from '../texts/language.js'

export const TEXTS = inLanguage(EN.dataset)
export const NO_PICTURE = '–'

/**
 * @typedef {{ filename: string, subfolder: string, type: string }} Picture
 * @typedef {{ name: string, caption: string, used: boolean, facts: string, target: Picture | null,
 *   condition: Picture | null, reasons: string[], warnings: string[], notes: string[] }} Row
 * @typedef {{ rows: Row[], used: number, found: number, advice: string[] }} Table
 */

/**
 * One line about the whole table.
 * @param {Table} table
 */
export function summary({ rows, used, found }) {
  const looked = rows.filter((row) => row.used && row.warnings.length).length
  let list = fill(found === 1 ? TEXTS.usedOne : TEXTS.usedMany, { used, found })
  if (found > used) list = fill(TEXTS.out, { list, count: found - used })
  return looked ? fill(TEXTS.look, { list, count: looked }) : list
}

/**
 * All findings of a clip, the gravest first.
 * @param {Row} row
 * @returns {{ kind: 'reason' | 'warning' | 'note', text: string }[]}
 */
export function findings(row) {
  /** @type {['reason' | 'warning' | 'note', string[]][]} */
  const kinds = [['reason', row.reasons], ['warning', row.warnings], ['note', row.notes]]
  return kinds.flatMap(([kind, texts]) => texts.map((text) => ({ kind, text })))
}

/**
 * The table that a node told, or null: what a page was told long ago may be of another version.
 * @param {any} output of the node
 * @param {string} key
 * @returns {Table | null}
 */
export function tableOf(output, key) {
  const told = output?.[key]?.at?.(-1)
  try {
    const table = typeof told === 'string' ? JSON.parse(told) : null
    return Array.isArray(table?.rows) ? table : null
  } catch {
    return null
  }
}
