/** Elements from plain values. Text is only ever set as text, so nothing a server says can become markup. */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [values] attributes; `text` is the content, names with `on` are listeners
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, values = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null || value === false) continue
    if (name === 'text') made.textContent = String(value)
    else if (name.startsWith('on')) made.addEventListener(name.slice(2), value)
    else made.setAttribute(name, value === true ? '' : String(value))
  }
  made.append(...children.filter((child) => child !== null && child !== undefined))
  return made
}

/**
 * Set the text of an element, without touching the page when it is that already.
 * @param {HTMLElement} target
 * @param {string} text
 */
export function say(target, text) {
  if (target.textContent !== text) target.textContent = text
}

/**
 * Keep single keys to an element: the host has shortcuts for many letters, and Delete takes the node away. What is
 * pressed with Control and the like stays the host's, so that undo works, and Escape.
 * @param {HTMLElement} target
 */
export function keepKeys(target) {
  target.addEventListener('keydown', (event) => {
    const hosts = event.ctrlKey || event.metaKey || event.altKey || event.key === 'Escape'
    if (!hosts) event.stopPropagation()
  })
}

const sheets = new Set()

/**
 * Load a style sheet that lies beside the script that asks for it, once.
 * @param {string} path
 * @param {string} base `import.meta.url` of that script
 */
export function useSheet(path, base) {
  const href = new URL(path, base).href
  if (sheets.has(href)) return
  sheets.add(href)
  document.head.append(element('link', { rel: 'stylesheet', href }))
}

/**
 * A function that runs `work` at most once in `wait()` milliseconds, the last call always.
 *
 * @param {() => void} work
 * @param {() => number} wait
 */
export function throttled(work, wait) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let latest = -Infinity
  const run = () => {
    timer = undefined
    latest = performance.now()
    work()
  }
  const ask = () => {
    timer ??= setTimeout(run, Math.max(0, latest + wait() - performance.now()))
  }
  ask.cancel = () => {
    clearTimeout(timer)
    timer = undefined
  }
  return ask
}
