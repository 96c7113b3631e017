/** Makes elements of the page. */

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties] of the element. Names with a hyphen, and `role`, are attributes.
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "scope") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/**
 * @param {number | null} value null stands for a number that is not finite
 * @param {number} [digits] after the point
 * @returns {string}
 */
export function formatNumber(value, digits = 3) {
  if (value === null) return "not finite";
  const isTiny = value !== 0 && Math.abs(value) < 0.5 * 10 ** -digits;
  const text = isTiny || Math.abs(value) >= 1e5 ? value.toExponential(1) : value.toFixed(digits);
  return text.replace("-", "−");
}

/**
 * Text on a canvas is sharp if the canvas has a pixel for each of the screen.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {number} width in CSS pixels
 * @param {number} height in CSS pixels
 * @returns {CanvasRenderingContext2D} scaled to CSS pixels
 */
export function sharpContext(canvas, width, height) {
  const ratio = window.devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}
