/** The workflows in the template browser: which one a newcomer runs first, and in which order they stand. */

export const FIRST_RUN = 'Start here - TIC-FT image to video - toy model'
const NEEDS_NOTHING = 'toy model' // at the end of the name: nothing has to be downloaded

/**
 * Names of workflows, the first run at the top, then what runs as it is, then the rest, each by name. The host lists
 * them as the disk does, by chance.
 *
 * @param {string[]} names
 */
export function inOrder(names) {
  const rank = (/** @type {string} */ name) => (name === FIRST_RUN ? 0 : name.endsWith(NEEDS_NOTHING) ? 1 : 2)
  return [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
}

/** The folder of the pack, as the address of one of its scripts has it. @param {string} address */
export function packFolder(address) {
  return decodeURIComponent(/\/extensions\/([^/]+)\//.exec(address)?.[1] ?? '')
}
