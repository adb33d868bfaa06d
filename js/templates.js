/** The pack's workflows in ComfyUI's template browser stand in an order that helps. */

import { api } from '../../scripts/api.js'
import { inOrder, packFolder } from './lib/first_run.js'

const PACK_FOLDER = packFolder(import.meta.url)
const listed = api.getWorkflowTemplates

// The page asks once, when the browser is first opened. Where a newer one asks otherwise, the order is the disk's again.
if (listed) api.getWorkflowTemplates = async () => {
  const packs = await listed.call(api)
  return packs?.[PACK_FOLDER] ? { ...packs, [PACK_FOLDER]: inOrder(packs[PACK_FOLDER]) } : packs
}
