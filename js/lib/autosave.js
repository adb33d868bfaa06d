/** Saving a run from the page, besides what its own settings say. */

/**
 * Whether a run is to be saved now.
 *
 * @param {number} minutes between two saves; 0: never from the page
 * @param {number} savedAt milliseconds, when it began or was last saved
 * @param {number} now milliseconds
 */
export function saveIsDue(minutes, savedAt, now) {
  return minutes > 0 && now - savedAt >= minutes * 60_000
}
