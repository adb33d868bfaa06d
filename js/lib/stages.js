/** Runs of a node that trains in stages: which belong together. */

/** @typedef {import('./run_state.js').Summary} Summary */
/** @typedef {{ name: string, run: Summary | undefined }} Stage a run is missing that has not begun or is not known */

/**
 * The stages of the training that a run is part of, in order; none where the node trains in one go.
 *
 * @param {Summary} run
 * @param {Summary[]} known other runs, the newest first
 * @returns {Stage[]}
 */
export function stagesOf(run, known) {
  const place = run.stages.indexOf(run.stage)
  if (place < 0 || run.stages.length < 2) return []
  const found = Array(run.stages.length).fill(undefined)
  found[place] = run
  for (let i = place - 1; i >= 0; i--) {
    const { follows } = found[i + 1] ?? {}
    found[i] = known.find((other) => follows && other.run === follows)
  }
  for (let i = place + 1; i < found.length; i++) {
    const before = found[i - 1]?.run
    found[i] = known.find((other) => before && other.follows === before && other.stage === run.stages[i])
  }
  return run.stages.map((name, i) => ({ name, run: found[i] }))
}
