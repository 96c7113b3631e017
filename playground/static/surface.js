/** The loss surface: filled contours of the training loss, with the path of training on it. */

import { isDark, networkColour, onThemeChange, themeColour } from "./colours.js";
import { element, formatNumber, sharpContext } from "./elements.js";

const SIDE = 380; // CSS pixels of the picture
const NUM_LEVELS = 14;
const SMALLEST = 1e-6; // a loss of 0 has no logarithm
const LIGHT = [[248, 249, 250], [150, 162, 174]]; // of the lowest and the highest loss
const DARK = [[24, 28, 32], [112, 124, 136]];

/**
 * Builds the panel inside an element.
 *
 * @param {HTMLElement} root
 * @param {(message: object) => void} send
 * @returns {{show: (message: object) => void, close: () => void}} show takes a `surface` message
 */
export function createSurfacePanel(root, send) {
  let last = null;
  const picture = element("canvas", { role: "img", className: "surface-picture" });
  const horizontal = element("p", { className: "caption surface-horizontal" });
  const vertical = element("p", { className: "caption surface-vertical" });
  const legend = element("canvas", { className: "surface-legend", role: "img", "aria-label": "Colours of the loss" });
  const low = element("span");
  const high = element("span");
  const again = element("button", { type: "button", textContent: "Compute again" });
  const shares = element("p", { className: "caption" });

  root.classList.add("surface");
  root.append(
    element("div", { className: "surface-frame" }, vertical, picture, horizontal),
    element("div", { className: "surface-scale" }, low, legend, high),
    element("p", { className: "caption" },
      "Each place stands for one set of all weights. Between two contour lines, the loss changes by the same factor. "
      + "The path begins at the ring and ends at the dot, where the weights are now."),
    shares,
    element("div", { className: "row" }, again));

  again.addEventListener("click", () => last && send({ type: "surface", network: last.network }));

  function draw() {
    const scale = lossScale(last.losses);
    const colours = levelColours();
    drawContours(picture, last, scale, colours);
    drawPath(picture.getContext("2d"), last);
    drawLegend(legend, colours);
  }
  onThemeChange(() => last && draw());

  return {
    show(message) {
      last = message;
      const [first, second] = message.explained.map((share) => `${Math.round(100 * share)}\u00a0%`);
      const { lowest, highest } = lossScale(message.losses);
      const [[left, right], [bottom, top]] = message.axes;
      horizontal.textContent = `direction 1: ${formatNumber(left, 1)} to ${formatNumber(right, 1)}`;
      vertical.textContent = `direction 2: ${formatNumber(bottom, 1)} to ${formatNumber(top, 1)}`;
      low.textContent = `loss ${lossText(lowest)}`;
      high.textContent = lossText(highest);
      shares.textContent = `These are the two directions in which the weights moved most: ${first} and ${second} of `
        + "their squared distances. The loss also depends on the other directions, which are not shown.";
      picture.setAttribute("aria-label", `Training loss from ${lossText(lowest)} to ${lossText(highest)}, with the `
        + `path of ${message.path.length} recorded epochs`);
      draw();
    },
    close() {},
  };
}

const lossText = (logarithm) => Number(Math.exp(logarithm).toPrecision(2)).toString();

/** @param {Float32Array} losses @returns {{lowest: number, highest: number}} logarithms of the finite losses */
function lossScale(losses) {
  const finite = losses.filter(Number.isFinite).map((loss) => Math.log(Math.max(SMALLEST, loss)));
  const lowest = Math.min(...finite);
  return { lowest, highest: Math.max(Math.max(...finite), lowest + 1e-6) };
}

function levelColours() {
  const [from, to] = isDark() ? DARK : LIGHT;
  return Array.from({ length: NUM_LEVELS }, (_, level) =>
    from.map((value, i) => Math.round(value + ((to[i] - value) * level) / (NUM_LEVELS - 1))));
}

/** Fills each pixel with the colour of its level, and draws lines where the level changes. */
function drawContours(canvas, { losses }, { lowest, highest }, colours) {
  const context = sharpContext(canvas, SIDE, SIDE);
  const side = canvas.width;
  const image = context.createImageData(side, side);
  const [size] = losses.shape;
  const logs = losses.map((loss) => (Number.isFinite(loss) ? Math.log(Math.max(SMALLEST, loss)) : highest));
  const levels = new Uint8Array(side * side);
  for (let row = 0; row < side; row += 1) {
    const v = ((side - 1 - row) / (side - 1)) * (size - 1); // the second direction points upwards
    const j = Math.min(size - 2, Math.floor(v));
    for (let column = 0; column < side; column += 1) {
      const u = (column / (side - 1)) * (size - 1);
      const i = Math.min(size - 2, Math.floor(u));
      const at = j * size + i;
      const below = logs[at] + (logs[at + 1] - logs[at]) * (u - i);
      const above = logs[at + size] + (logs[at + size + 1] - logs[at + size]) * (u - i);
      const share = (below + (above - below) * (v - j) - lowest) / (highest - lowest);
      levels[row * side + column] = Math.min(NUM_LEVELS - 1, Math.floor(share * NUM_LEVELS));
    }
  }
  for (let i = 0; i < levels.length; i += 1) {
    const isLine = levels[i] !== levels[i + 1] || levels[i] !== levels[i + side];
    const isEdge = i % side === side - 1 || i >= levels.length - side;
    const colour = colours[levels[i]].map((value) => (isLine && !isEdge ? value * 0.82 : value));
    image.data.set([...colour, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

function drawPath(context, { axes, path, network }) {
  const [[left, right], [bottom, top]] = axes;
  const places = path.map(([a, b]) => [
    (SIDE * (a - left)) / (right - left), SIDE - (SIDE * (b - bottom)) / (top - bottom)]);
  const line = (width, colour) => {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  };
  const card = themeColour("--card") || "white";
  const colour = networkColour(network);
  context.lineJoin = "round";
  context.beginPath();
  places.forEach((place) => context.lineTo(...place));
  line(5, card);
  line(2.5, colour);
  const [start, end] = [places[0], places.at(-1)];
  context.beginPath();
  context.arc(...start, 6, 0, 2 * Math.PI);
  context.fillStyle = card;
  context.fill();
  line(2.5, colour);
  context.beginPath();
  context.arc(...end, 6.5, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
  line(2, card);
}

function drawLegend(canvas, colours) {
  canvas.width = NUM_LEVELS;
  canvas.height = 1;
  const context = canvas.getContext("2d");
  colours.forEach(([red, green, blue], level) => {
    context.fillStyle = `rgb(${red}, ${green}, ${blue})`;
    context.fillRect(level, 0, 1, 1);
  });
}
