/** Every English text of the pack's commands, but their labels: `registered_texts.js`. */

export const TEXTS = {
  pack: 'FewShot Video',
  listTitle: 'What has been trained',
  listHelp: 'Finished LoRAs, adapters and runs by name, the newest first. They lie below ComfyUI’s output folder.',
  nothing: 'Nothing has been trained to its end yet.',
  citeHelp: 'BibTeX of the papers, and of the LoRA where it says how it was made.',
  choose: 'Select one node that loads or trains a LoRA, then run the command again.',
  unreachable: 'The server does not answer; start ComfyUI again, then run the command again.',
  copy: 'Copy',
  copied: 'Copied',
  notCopied: 'The browser does not let pages copy here; press Ctrl+C now.',
  close: 'Close',
}

/** @param {string} title of a method */
export function citeTitle(title) {
  return `Cite: ${title}`
}

/** @param {number} count */
export function more(count) {
  return `and ${count} more`
}
