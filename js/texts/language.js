/** The page's own texts in the language that ComfyUI is set to; English where there is no such text. */

import { JA } from './ja.js'
import { KO } from './ko.js'
import { ZH } from './zh.js'

/** @type {Record<string, Record<string, string>>} the texts of a language under the English ones */
export const TABLES = { zh: ZH, ja: JA, ko: KO }

/** @type {() => unknown} */
let setting = () => 'en'

/** @param {() => unknown} read the code of the language that is set now, like `zh` */
export function followLanguage(read) {
  setting = read
}

/** @returns {string} the code of the language that is set now */
export function language() {
  return String(setting() ?? 'en')
}

/** @param {string} english @returns {string} */
export function translated(english) {
  const table = TABLES[language()] ?? {}
  return Object.hasOwn(table, english) ? table[english] : english
}

/**
 * The same names, whose texts are looked up when they are read: the language may change while the page is open.
 * @template {Record<string, string>} T
 * @param {T} texts in English
 * @returns {T}
 */
export function inLanguage(texts) {
  const places = Object.keys(texts).map((name) => [name, { enumerable: true, get: () => translated(texts[name]) }])
  return Object.defineProperties(/** @type {T} */ ({}), Object.fromEntries(places))
}

/**
 * A text with values in the places of their names, `{name}`.
 * @param {string} text @param {Record<string, unknown>} values
 */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]))
}
