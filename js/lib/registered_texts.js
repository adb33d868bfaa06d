/** English texts of what ComfyUI's page lists of the pack. The value is JSON: `scripts/locales.py` reads it, too. */
export const REGISTERED = {
  "commands": {
    "FewShotVideo.FirstRun": {
      "label": "FewShot Video: first run"
    },
    "FewShotVideo.ListResults": {
      "label": "FewShot Video: open results folder list"
    },
    "FewShotVideo.Cite": {
      "label": "FewShot Video: cite this LoRA"
    },
    "FewShotVideo.MoreCards": {
      "label": "FewShot Video: copy the command for more cards"
    }
  },
  "menu": {
    "FewShotVideo.FirstRun": "First run",
    "FewShotVideo.ListResults": "Open results folder list",
    "FewShotVideo.Cite": "Cite this LoRA",
    "FewShotVideo.MoreCards": "Copy the command for more cards"
  },
  "settings": {
    "FewShotVideo.PanelRefresh": {
      "name": "Updates per second",
      "tooltip": "How often the training panel is drawn while a run goes on."
    },
    "FewShotVideo.AutosaveMinutes": {
      "name": "Save a run every so many minutes (0: as its run settings say)",
      "tooltip": "Besides what the run does by itself, while its page is open."
    },
    "FewShotVideo.PreviewSize": {
      "name": "Preview size (pixels)",
      "tooltip": "Width of a chosen preview in the training panel."
    },
    "FewShotVideo.FirstRunButton": {
      "name": "Offer the first run in the bar at the top",
      "tooltip": "A button there opens the workflow to begin with. Once it was pressed, it is gone when the page is loaded again."
    }
  },
  "categories": [
    "FewShot Video",
    "Training panel",
    "First run"
  ]
}
