/** Curves of loss or accuracy, and bars of gradient size by layer. */

import { networkColour, themeColour } from "./colours.js";
import { element, sharpContext } from "./elements.js";
import { gradientShare } from "./network.js";

const MAX_POINTS = 240; // per curve; more cannot be told apart in the chart

/**
 * Writes labels left of a box, with a thin line to the right of each.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {{left: number, right: number, top: number, bottom: number}} box
 * @param {[number, string | number][]} ticks each a fraction of the height of the box and a label
 */
function drawTicks(context, box, ticks) {
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = themeColour("--muted");
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const [share, label] of ticks) {
    const y = box.bottom - share * (box.bottom - box.top);
    context.globalAlpha = 1;
    context.fillText(label, box.left - 6, y);
    context.globalAlpha = 0.25;
    context.fillRect(box.left, Math.round(y), box.right - box.left, 1);
  }
  context.globalAlpha = 1;
}

/** @param {number} value @returns {number} the next round number: 1, 2 or 5 times a power of ten */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 5, 10].find((step) => step * power >= value * 0.999) * power;
}

/** The chart of one measure for one or two networks. */
export class CurveChart {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.curves = [[], []];
    this.measure = "loss";
    this.marked = null; // the epoch that is shown, if it is not the newest
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  resize() {
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    if (this.width) this.draw();
  }

  /** @param {object[]} networks of a frame */
  add(networks) {
    networks.forEach(({ curve }, index) => {
      if (curve.length) this.curves[index].splice(curve[0][0], Infinity, ...curve);
    });
    if (networks.length === 1) this.curves[1] = [];
  }

  draw() {
    const { width, height } = this;
    if (!width) return;
    const context = sharpContext(this.canvas, width, height);
    const columns = this.measure === "loss" ? [1, 2] : [3, 4];
    const used = this.curves.map((curve) => thin(curve).filter((point) => point[columns[0]] !== null));
    const lastEpoch = Math.max(1, ...used.map((curve) => curve.at(-1)?.[0] ?? 0));
    let top = 1;
    if (this.measure === "loss") {
      top = 0.01;
      for (const point of used.flat()) top = Math.max(top, point[1] ?? 0, point[2] ?? 0);
      top = roundUp(top);
    }
    const box = { left: 34, right: width - 12, top: 8, bottom: height - 18 };
    const x = (epoch) => box.left + (epoch / lastEpoch) * (box.right - box.left);
    const y = (value) => box.bottom - (Math.min(value, top) / top) * (box.bottom - box.top);
    drawTicks(context, box, [0, 0.5, 1].map((share) => [share, Number((share * top).toPrecision(2))]));
    context.textBaseline = "top";
    context.fillText(lastEpoch.toLocaleString("en"), box.right, box.bottom + 5);
    context.textAlign = "left";
    context.fillText("0", box.left, box.bottom + 5);
    if (this.marked !== null) {
      context.fillStyle = themeColour("--line-strong");
      context.fillRect(x(this.marked), box.top, 1, box.bottom - box.top);
    }
    used.forEach((curve, index) => {
      context.strokeStyle = networkColour(index);
      columns.forEach((column, isTest) => {
        context.lineWidth = isTest ? 1.5 : 2;
        context.setLineDash(isTest ? [4, 3] : []);
        context.beginPath();
        for (const point of curve) if (Number.isFinite(point[column])) context.lineTo(x(point[0]), y(point[column]));
        context.stroke();
      });
      context.setLineDash([]);
    });
    if (!used[0].length && !used[1].length) {
      context.fillStyle = themeColour("--muted");
      context.textAlign = "center";
      const hasNone = this.measure === "accuracy" && this.curves[0].length > 0;
      const text = hasNone ? "Regression has no accuracy." : "Press play to train.";
      context.fillText(text, (box.left + box.right) / 2, (box.top + box.bottom) / 2);
    }
  }
}

function thin(curve) {
  const step = Math.ceil(curve.length / MAX_POINTS);
  return step > 1 ? curve.filter((_, i) => i % step === 0 || i === curve.length - 1) : curve;
}

/** Bars of gradient size, one group per network. */
export class GradientBars {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.canvases = [];
    this.height = 76;
  }

  /** @param {number} count networks */
  build(count) {
    if (this.canvases.length === count) return;
    this.canvases = Array.from({ length: count }, (_, index) => element("canvas",
      { className: "bars", role: "img", "aria-label": `Gradient size by layer of network ${index + 1}` }));
    this.root.replaceChildren(...this.canvases);
    this.width = this.root.clientWidth;
  }

  /** @param {object[]} networks of a frame */
  draw(networks) {
    this.build(networks.length);
    networks.forEach((network, index) => this.#drawOne(this.canvases[index], network.gradients, index));
  }

  #drawOne(canvas, gradients, index) {
    const { width, height } = this;
    if (!width) return;
    const context = sharpContext(canvas, width, height);
    const box = { left: 34, right: width - 12, top: 6, bottom: height - 16 };
    const tall = box.bottom - box.top;
    drawTicks(context, box, [[0, "1e-8"], [0.5, "1e-4"], [1, "1"]]);
    const pitch = Math.min(26, (box.right - box.left) / gradients.length);
    const gap = pitch > 5 ? 2 : 0.5;
    context.fillStyle = networkColour(index);
    gradients.forEach((gradient, layer) => {
      const tallness = Math.max(1, gradientShare(gradient) * tall);
      context.fillRect(box.left + layer * pitch, box.bottom - tallness, pitch - gap, tallness);
    });
    context.fillStyle = themeColour("--muted");
    context.textBaseline = "top";
    context.textAlign = "left";
    const last = gradients.length - 1;
    context.fillText(last ? "first layer" : "output layer", box.left, box.bottom + 4);
    if (last * pitch > 130) {
      context.textAlign = "right";
      context.fillText("output layer", box.left + (last + 1) * pitch, box.bottom + 4);
    }
  }
}
