/** Where the parts of a network stand: columns of features, hidden layers and outputs, and the lines between them. */

import { FEATURES } from "./settings.js";

export const HEAD_HEIGHT = 34; // above the columns, for + and - neurons
const FOOT_HEIGHT = 18; // below the columns, for the arcs of residual connections
const LABEL_WIDTH = 42; // left of the features
const THIN_PITCH = [3, 9]; // smallest and largest distance between folded layers
const MAX_OPEN = 8; // deeper networks are folded

/**
 * @param {number} depth number of hidden layers
 * @param {number[]} extra layers that the visitor has unfolded
 * @returns {number[]} the layers that are drawn with pictures
 */
export function openLayers(depth, extra) {
  const all = Array.from({ length: depth }, (_, layer) => layer);
  if (depth <= MAX_OPEN) return all;
  return all.filter((layer) => layer < 2 || layer >= depth - 2 || extra.includes(layer));
}

/** Smallest distance of two columns in pixels; 0 between two folded layers. */
function smallestGap(from, to) {
  const types = [from.type, to.type];
  if (types.every((type) => type === "thin")) return 0;
  if (types.includes("thin")) return 32;
  return types.every((type) => type === "layer") ? 58 : 46;
}

/**
 * @param {{layers: number[], features: string[], outputs: number, isFull: boolean, open: number[], width: number,
 *   height: number}} network isFull: all seven features are drawn, not only the chosen ones
 * @returns {{columns: object[], width: number, height: number, node: number}} a column has `type` (features, layer,
 *   thin, head), `layer`, `x`, `nodes` (centres) and `size`
 */
export function arrange({ layers, features, outputs, isFull, open, width, height }) {
  const names = isFull ? FEATURES : features;
  const columns = [{ type: "features", layer: -1, count: names.length, names }];
  layers.forEach((count, layer) => columns.push({ type: open.includes(layer) ? "layer" : "thin", layer, count }));
  columns.push({ type: "head", layer: layers.length, count: outputs });

  const rows = Math.max(...columns.filter((column) => column.type !== "thin").map((column) => column.count));
  const pitch = Math.max(23, Math.min(48, (height - HEAD_HEIGHT - FOOT_HEIGHT) / rows));
  const node = Math.min(38, Math.round(pitch - 5));

  const gaps = columns.slice(1).map((column, i) => smallestGap(columns[i], column));
  const numThin = gaps.filter((gap) => gap === 0).length;
  const smallest = LABEL_WIDTH + node / 2 + gaps.reduce((sum, gap) => sum + gap, 0) + 26;
  const [low, high] = THIN_PITCH;
  const thin = numThin ? Math.max(low, Math.min(high, (width - smallest) / numThin)) : 0;
  const total = Math.max(width, smallest + numThin * thin);
  const rest = (total - smallest - numThin * thin) / (gaps.length - numThin);

  const bodyHeight = Math.max(rows * pitch, height - HEAD_HEIGHT - FOOT_HEIGHT);
  let x = LABEL_WIDTH + node / 2;
  columns.forEach((column, i) => {
    if (i > 0) x += gaps[i - 1] === 0 ? thin : gaps[i - 1] + Math.min(rest, 90);
    column.x = x;
    column.size = column.type === "head" ? 14 : node;
    const own = column.type === "head" ? Math.min(pitch, 34) : pitch;
    const top = HEAD_HEIGHT + (bodyHeight - column.count * own) / 2;
    column.nodes = Array.from({ length: column.count }, (_, unit) => ({ x: column.x, y: top + (unit + 0.5) * own }));
  });
  return { columns, node, width: total, height: HEAD_HEIGHT + bodyHeight + FOOT_HEIGHT };
}

/**
 * @param {{columns: object[]}} layout
 * @param {string[]} features the chosen ones: the inputs of the first layer
 * @returns {{layer: number, unit: number, input: number, path: Path2D}[]} one line per weight between open columns
 */
export function makeLines({ columns }, features) {
  const lines = [];
  for (let i = 1; i < columns.length; i += 1) {
    const [from, to] = [columns[i - 1], columns[i]];
    if (from.type === "thin" || to.type === "thin") continue;
    const sources = from.type === "features" ? features.map((name) => from.nodes[from.names.indexOf(name)]) : from.nodes;
    to.nodes.forEach((end, unit) => {
      sources.forEach((start, input) => {
        const [x1, x2] = [start.x + from.size / 2, end.x - to.size / 2];
        const bend = (x2 - x1) / 2;
        const path = new Path2D();
        path.moveTo(x1, start.y);
        path.bezierCurveTo(x1 + bend, start.y, x2 - bend, end.y, x2, end.y);
        lines.push({ layer: to.layer, unit, input, path, x1, x2 });
      });
    });
  }
  return lines;
}

/**
 * The plain, grey parts: links from open to folded layers, and arcs of residual connections.
 *
 * @param {{columns: object[], height: number}} layout
 * @param {boolean} isResidual
 * @returns {Path2D}
 */
export function makeLinks({ columns, height }, isResidual) {
  const path = new Path2D();
  for (let i = 1; i < columns.length; i += 1) {
    const [from, to] = [columns[i - 1], columns[i]];
    if ((from.type === "thin") !== (to.type === "thin")) {
      for (const { y } of (from.type === "thin" ? to : from).nodes) {
        path.moveTo(from.x + (from.type === "thin" ? 4 : from.size / 2), y);
        path.lineTo(to.x - (to.type === "thin" ? 4 : to.size / 2), y);
      }
    }
    if (isResidual && to.layer > 0 && to.type !== "head") {
      const bottom = height - FOOT_HEIGHT + 3;
      path.moveTo(from.x, bottom);
      path.bezierCurveTo(from.x, bottom + 16, to.x, bottom + 16, to.x, bottom);
    }
  }
  return path;
}
