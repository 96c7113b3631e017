/** The small pictures of the data sets. */

import { isDark, themeColour, valueColour } from "./colours.js";

const SIZE = 40;
const TURN = 2 * Math.PI;

/** A number from 0 to 1 that looks random and is the same each time. */
function random(i) {
  let bits = Math.imul(i + 1, 2654435761);
  bits = Math.imul(bits ^ (bits >>> 15), 2246822519);
  return ((bits ^ (bits >>> 13)) >>> 0) / 2 ** 32;
}

/** Each gives point i of n as [x, y, value], with x and y from -1 to 1. */
const SHAPES = {
  circle: (i, n) => {
    const isInner = i < n / 3;
    const radius = isInner ? 0.35 * Math.sqrt(random(i)) : 0.7 + 0.2 * random(i);
    const angle = TURN * (isInner ? random(i + 500) : i / (n - n / 3));
    return [radius * Math.cos(angle), radius * Math.sin(angle), isInner ? 1 : -1];
  },
  xor: (i) => {
    const [x, y] = [random(i) * 1.8 - 0.9, random(i + 500) * 1.8 - 0.9];
    return [x + 0.1 * Math.sign(x), y + 0.1 * Math.sign(y), Math.sign(x * y)];
  },
  gauss: (i) => {
    const sign = i % 2 ? 1 : -1;
    const [radius, angle] = [0.34 * Math.sqrt(random(i)), TURN * random(i + 500)];
    return [0.45 * sign + radius * Math.cos(angle), -0.45 * sign + radius * Math.sin(angle), sign];
  },
  spiral: (i, n) => {
    const sign = i % 2 ? 1 : -1;
    const share = (i + 2) / (n + 2);
    return [sign * 0.92 * share * Math.sin(share * 11), sign * -0.92 * share * Math.cos(share * 11), sign];
  },
  plane: (i, n) => {
    const side = Math.sqrt(n);
    const [x, y] = [(2 * (i % side)) / (side - 1) - 1, (2 * Math.floor(i / side)) / (side - 1) - 1];
    return [0.85 * x, 0.85 * y, (x - y) / 2];
  },
  bumps: (i, n) => {
    const [x, y] = SHAPES.plane(i, n);
    return [x, y, Math.cos(x * 4.6) * Math.sin(-y * 3.6)];
  },
};

/** Draws the pictures of all data sets. */
export function drawThumbnails() {
  const ratio = Math.min(2, window.devicePixelRatio);
  for (const canvas of document.querySelectorAll("canvas[data-shape]")) {
    canvas.width = canvas.height = SIZE * ratio;
    const context = canvas.getContext("2d");
    context.scale((SIZE * ratio) / 2, (SIZE * ratio) / 2);
    context.fillStyle = isDark() ? "#14171a" : "#f6f7f8";
    context.fillRect(0, 0, 2, 2);
    context.translate(1, 1);
    if (canvas.dataset.shape === "points") drawPencil(context);
    else drawPoints(context, SHAPES[canvas.dataset.shape]);
  }
}

function drawPoints(context, shape) {
  const count = 81;
  for (let i = 0; i < count; i += 1) {
    const [x, y, value] = shape(i, count);
    context.fillStyle = valueColour(value);
    context.beginPath();
    context.arc(x, y, 0.075, 0, TURN);
    context.fill();
  }
}

function drawPencil(context) {
  context.strokeStyle = themeColour("--muted");
  context.lineWidth = 0.1;
  context.lineJoin = "round";
  context.stroke(new Path2D("M-.5 .5 L-.42 .18 L.28 -.52 L.52 -.28 L-.18 .42 Z M.1 -.34 L.34 -.1"));
}
