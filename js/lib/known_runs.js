/** The runs of a node: those that were listed, kept up to date by events. */

/** @typedef {import('./run_state.js').Summary} Summary */

/**
 * The runs after news of one. It is put first where it is a new one or goes on again; an ended one stays in its
 * place, for the end of a stage may be told when the next one has begun.
 *
 * @param {Summary[]} runs the newest first
 * @param {Summary} news
 * @returns {Summary[]}
 */
export function withNews(runs, news) {
  const place = runs.findIndex((run) => run.run === news.run)
  if (place < 0 || (news.live && !runs[place].live)) return [news, ...runs.filter((run) => run.run !== news.run)]
  return runs.map((run, i) => (i === place ? news : run))
}

/**
 * Whether a run in the news takes over from the one that was shown before.
 *
 * @param {Summary[]} runs as far as they are known
 * @param {Summary} news
 * @param {string} before id of the other run; empty where there was none
 */
export function takesOver(runs, news, before) {
  if (news.run === before) return false
  return news.live || !runs.find((run) => run.run === before)?.live
}

/**
 * Whether the newest of the listed runs has begun since the list was last read.
 *
 * @param {Summary[]} before empty where it was not read yet
 * @param {Summary[]} runs
 */
export function hasNewest(before, runs) {
  return before.length > 0 && runs.length > 0 && before.every((run) => run.run !== runs[0].run)
}
