/** A button beside Run for whoever has not opened the first run yet: the page greets newcomers with other templates. */

import { app } from '../../scripts/app.js'
import { TEXTS } from './lib/command_texts.js'
import { REGISTERED } from './lib/registered_texts.js'

const OFFERED = 'FewShotVideo.FirstRunButton'
const [PACK, , GROUP] = REGISTERED.categories

app.registerExtension({
  name: 'FewShotVideo.OfferOfFirstRun',
  settings: [
    { id: OFFERED, ...REGISTERED.settings[OFFERED], category: [PACK, GROUP, 'Button'], type: 'boolean', defaultValue: true },
  ],
  setup() {
    if (app.extensionManager.setting.get(OFFERED)) offer()
  },
})

function offer() {
  app.registerExtension({
    name: 'FewShotVideo.OfferedFirstRun',
    actionBarButtons: [{ icon: 'pi pi-play', label: TEXTS.firstRun, tooltip: TEXTS.firstRunHelp, onClick: begin }],
  })
}

function begin() {
  void app.extensionManager.setting.set(OFFERED, false)
  void app.extensionManager.command.execute('FewShotVideo.FirstRun')
}
