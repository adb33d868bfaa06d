/** What the table of clips says besides what the node found. */

export const TEXTS = {
  none: 'Run the node to see its clips here.',
  failed: 'The last run found no data set; the sentence is above.',
  columns: ['target', 'condition', 'clip and what was found'],
  noPicture: '–',
  target: (/** @type {string} */ name) => `First frame of ${name}`,
  condition: (/** @type {string} */ name) => `Condition of ${name}`,
  leftOut: 'left out',
  advice: 'For the whole set',
  table: 'Clips of the data set'
}

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
  const parts = [`${used} of ${found} ${found === 1 ? 'clip' : 'clips'} used`]
  if (found > used) parts.push(`${found - used} left out`)
  if (looked) parts.push(`${looked} to look at`)
  return parts.join(', ')
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
