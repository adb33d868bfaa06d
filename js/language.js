// The language of the page's own texts: the one of ComfyUI's setting.

import { app } from '../../scripts/app.js'
import { followLanguage } from './texts/language.js'

followLanguage(() => app.extensionManager?.setting?.get('Comfy.Locale'))
