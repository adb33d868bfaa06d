import assert from 'node:assert/strict'
import test from 'node:test'

import { FIRST_RUN, inOrder, packFolder } from '../../../js/lib/first_run.js'

test('the first run stands at the top, then what needs no download', () => {
  const names = ['TIC-FT train - Wan', 'TIC-FT b - toy model', FIRST_RUN, 'AICL train - Wan', 'AICL a - toy model']
  assert.deepEqual(inOrder(names), [FIRST_RUN, 'AICL a - toy model', 'TIC-FT b - toy model', 'AICL train - Wan', 'TIC-FT train - Wan'])
  assert.equal(names[0], 'TIC-FT train - Wan') // the list that was given is left alone
})

test('the folder of the pack is read from the address of a script', () => {
  assert.equal(packFolder('http://127.0.0.1:8188/extensions/my%20pack/templates.js?v=1'), 'my pack')
  assert.equal(packFolder('http://host/comfy/extensions/fewshot-video/templates.js'), 'fewshot-video')
  assert.equal(packFolder('file:///templates.js'), '')
})
