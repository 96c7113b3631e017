/** Colours of the page: orange to blue for values, six Okabe-Ito colours for classes, two for the networks. */

const ORANGE = [245, 147, 34];
const BLUE = [8, 119, 189];
const DARK_ORANGE = [240, 140, 40];
const DARK_BLUE = [40, 140, 215];
const CLASSES = [[230, 159, 0], [0, 114, 178], [0, 158, 115], [204, 121, 167], [86, 180, 233], [213, 94, 0]];

const darkQuery = window.matchMedia("(prefers-color-scheme: dark)");

/** @returns {boolean} whether the page is dark */
export const isDark = () => darkQuery.matches;

/** @param {() => void} callback called when the page turns light or dark */
export function onThemeChange(callback) {
  darkQuery.addEventListener("change", callback);
}

/** @returns {number[]} the colour in the middle of the scale, of value 0 */
const middle = () => (isDark() ? [38, 43, 50] : [232, 234, 235]);

const mix = (from, to, share) => from.map((value, i) => Math.round(value + (to[i] - value) * share));
const css = (rgb) => `rgb(${rgb[0]}, ${rgb[1]}, ${rgb[2]})`;
const pack = (rgb) => (255 << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0];

/**
 * @param {number} value -1 (orange) to 1 (blue); 0 is grey
 * @returns {number[]} red, green, blue
 */
function scale(value) {
  const end = value < 0 ? (isDark() ? DARK_ORANGE : ORANGE) : isDark() ? DARK_BLUE : BLUE;
  return mix(middle(), end, Math.min(1, Math.abs(value)));
}

/** @param {number} value -1 to 1 @returns {string} a CSS colour */
export const valueColour = (value) => css(scale(value));

/** @param {number} index class, from 0 @param {number} numClasses @returns {string} a CSS colour */
export function classColour(index, numClasses) {
  return numClasses === 2 ? valueColour(index ? 1 : -1) : css(CLASSES[index]);
}

/** @param {number} network 0 or 1 @returns {string} the colour of its curves */
export function networkColour(network) {
  const colours = isDark() ? ["#d999cb", "#3fc79a"] : ["#8e3d85", "#00785a"];
  return colours[network];
}

const themeColours = new Map(); // reading a style in every frame would be slow
onThemeChange(() => themeColours.clear());

/**
 * @param {string} name of a CSS variable
 * @returns {string} its value
 */
export function themeColour(name) {
  if (!themeColours.has(name)) {
    themeColours.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  }
  return themeColours.get(name);
}

/** @param {(value: number) => number} [curve] from -1..1 to -1..1 @returns {Uint32Array} the colours of 256 bytes */
export function byteTable(curve = (value) => 0.95 * value) {
  const table = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    table[byte] = pack(scale(curve(Math.max(-1, Math.min(1, (byte - 128) / 127)))));
  }
  return table;
}

/** A colour table for classes: `table[class * 256 + confidence]`. @returns {Uint32Array} */
function classTable() {
  const table = new Uint32Array(CLASSES.length * 256);
  CLASSES.forEach((rgb, index) => {
    for (let byte = 0; byte < 256; byte += 1) table[index * 256 + byte] = pack(mix(middle(), rgb, byte / 255));
  });
  return table;
}

/**
 * Paints square maps of bytes into canvases. One ImageData per size is reused.
 */
export class MapPainter {
  constructor() {
    this.images = new Map();
    this.refresh();
    onThemeChange(() => this.refresh());
  }

  refresh() {
    this.smooth = byteTable();
    this.discrete = byteTable((value) => (value < 0 ? -0.75 : 0.75));
    this.saturated = new Map();
    this.classes = classTable();
  }

  /** The colours of neurons are the same in all pictures: strongest from -1 down and from 1 up. */
  #saturatedTable(range) {
    const power = Math.round(4 * Math.log2(range)); // a table serves ranges that differ by less than a tenth
    if (!this.saturated.has(power)) {
      this.saturated.set(power, byteTable((value) => Math.max(-1, Math.min(1, value * 2 ** (power / 4)))));
    }
    return this.saturated.get(power);
  }

  /**
   * @param {CanvasRenderingContext2D} context of a canvas of size x size pixels
   * @param {Uint8Array} bytes
   * @param {number} size
   * @param {{discrete?: boolean, range?: number, confidence?: Uint8Array}} [options]
   *   range: the value of byte 255; confidence: of the classes that the bytes are
   */
  paint(context, bytes, size, { discrete = false, range = 1, confidence } = {}) {
    let entry = this.images.get(size);
    if (!entry) {
      const image = new ImageData(size, size);
      entry = { image, pixels: new Uint32Array(image.data.buffer) };
      this.images.set(size, entry);
    }
    const { image, pixels } = entry;
    if (confidence) {
      for (let i = 0; i < pixels.length; i += 1) {
        pixels[i] = this.classes[bytes[i] * 256 + (discrete ? 190 : confidence[i])];
      }
    } else {
      const table = discrete ? this.discrete : range > 1 ? this.#saturatedTable(range) : this.smooth;
      for (let i = 0; i < pixels.length; i += 1) pixels[i] = table[bytes[i]];
    }
    context.putImageData(image, 0, 0);
  }
}
