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
 * Clears a canvas and gives it a pixel for each of the screen, so that text on it is sharp.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {number} width in CSS pixels
 * @param {number} height in CSS pixels
 * @returns {CanvasRenderingContext2D} in CSS pixels
 */
export function sharpContext(canvas, width, height) {
  const ratio = Math.min(2, window.devicePixelRatio);
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
