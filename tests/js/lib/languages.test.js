import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { afterEach, test } from 'node:test'

import { TEXTS as DATASET, summary } from '../../../js/lib/dataset_texts.js'
import { planSequence } from '../../../js/lib/timeline_layout.js'
import { TEXTS, stageName, stateLine } from '../../../js/lib/training_texts.js'
import { runOf } from '../../../js/lib/run_state.js'
import { EN } from '../../../js/texts/en.js'
import { TABLES, fill, followLanguage, language, translated } from '../../../js/texts/language.js'

const ENGLISH = Object.values(EN).flatMap((group) => Object.values(group))
const LANGUAGES = Object.keys(TABLES)
const places = (text) => text.match(/\{\w+\}/g)?.sort()
const numbers = (text) => text.match(/\d+(\.\d+)?/g) ?? []

afterEach(() => followLanguage(() => 'en'))

test('every language has exactly the English texts', () => {
  assert.deepEqual(LANGUAGES, ['zh', 'ja', 'ko'])
  for (const [code, table] of Object.entries(TABLES)) {
    const missing = ENGLISH.filter((text) => !Object.hasOwn(table, text))
    const leftOver = Object.keys(table).filter((text) => !ENGLISH.includes(text))
    assert.deepEqual({ code, missing, leftOver }, { code, missing: [], leftOver: [] })
  }
})

test('a text has the places for values and the numbers of the English one in every language', () => {
  for (const table of Object.values(TABLES)) {
    for (const [english, text] of Object.entries(table)) {
      assert.ok(text.trim(), `“${english}” has an empty translation`)
      assert.deepEqual(places(text), places(english), `${english} → ${text}`)
      assert.deepEqual(numbers(english).filter((one) => !numbers(text).includes(one)), [], `${english} → ${text}`)
    }
  }
})

test('the texts follow the language while the page is open, and are English in one that is not there', () => {
  const run = runOf({ state: 'running', live: true, step: 3, steps: 9, seconds_left: 75 })
  const shown = () => [language(), TEXTS.stop, DATASET.target, stateLine(run), stageName('motion')]
  const english = ['Stop and keep', 'target', 'Training: step 3 of 9, 1 min 15 s left', 'motion']
  assert.deepEqual(shown(), ['en', ...english])
  followLanguage(() => 'zh')
  assert.deepEqual(shown(), ['zh', '停止并保留', '目标', '训练：第 3 / 9 步，剩余 1 min 15 s', '运动'])
  for (const code of ['fr', 'zh-TW', 'toString', undefined]) {
    followLanguage(() => code)
    assert.deepEqual(shown().slice(1), english)
  }
  followLanguage(() => 'ko')
  assert.equal(translated('no such text'), 'no such text')
})

test('what is put together of several texts is in one language', () => {
  followLanguage(() => 'ja')
  const numbers = { task: 'image to video', condition: 0, buffer: 0, levels: '', targetFrames: 36 }
  assert.match(planSequence(numbers).problems[0].text, /^ターゲットフレーム数 36 は 4 の倍数に 1 を足した数にしてください/)
  const row = { name: 'a', caption: '', used: true, facts: '', target: null, condition: null, reasons: [], warnings: ['w'], notes: [] }
  assert.equal(summary({ rows: [row], used: 1, found: 2, advice: [] }), 'クリップ 2 本中 1 本を使用、除外 1 本、要確認 1 本')
})

test('a value that looks like a place stays as it is', () => {
  assert.equal(fill('{name} of {all}', { name: '{all}', all: 3 }), '{all} of 3')
})

const JS = new URL('../../../js/', import.meta.url)
const SCRIPTS = ['', 'dataset/', 'dialogs/', 'lib/', 'panel/', 'timeline/'].flatMap((folder) =>
  readdirSync(new URL(folder, JS)).filter((name) => name.endsWith('.js') && name !== 'registered_texts.js').map((name) => folder + name))

test('no text of the page is written where it would stay English', () => {
  const written = /(?:\btext|title|'aria-label'|alt|label|placeholder): ['"`](?=[^'"`$]*[A-Za-z]{3})([^'"`]*)['"`]/g
  const strays = SCRIPTS.flatMap((name) => [...readFileSync(new URL(name, JS), 'utf8').matchAll(written)].map((one) => `${name}: ${one[1]}`))
  assert.ok(SCRIPTS.length > 40)
  assert.deepEqual(strays, ['panel/curve_choice.js: sigma ${label}'])
})
