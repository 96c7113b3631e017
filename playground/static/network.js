/** Draws one network: a picture in every neuron, weights as lines, and buttons to change its structure. */

import { isDark, themeColour, valueColour, classColour } from "./colours.js";
import { formatNumber } from "./elements.js";
import { arrange, makeLines, makeLinks, openLayers } from "./graph.js";
import { FEATURES, FEATURE_LABELS, MAX_LAYERS, MAX_NEURONS } from "./settings.js";

const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

/** @param {number} layer @param {number} depth @param {number} unit @returns {string} a neuron's name, from 1 */
export function neuronName(layer, depth, unit) {
  return layer === depth ? `output ${unit + 1}` : `layer ${layer + 1}, neuron ${unit + 1}`;
}

/** 0 for gradients of 1e-8 and less, 1 for gradients of 1 and more. @param {number} gradient @returns {number} */
export const gradientShare = (gradient) => Math.max(0, Math.min(1, (Math.log10(gradient + 1e-30) + 8) / 8));

function element(tag, className, label, parent) {
  const node = document.createElement(tag);
  node.className = className;
  if (label) {
    node.setAttribute("aria-label", label);
    node.title = label;
  }
  parent.append(node);
  return node;
}

function place(node, x, y, size) {
  node.style.cssText = `left:${x - size / 2}px;top:${y - size / 2}px;width:${size}px;height:${size}px`;
}

/** One network of the page. */
export class NetworkView {
  /**
   * @param {HTMLElement} root the card
   * @param {number} index 0 or 1
   * @param {import("./colours.js").MapPainter} painter
   * @param {{change: (changes: object) => void, hover: (target: object | null) => void,
   *   openNeuron: (layer: number, unit: number) => void, unfold: (layers: number[]) => void,
   *   edit: (layer: number, unit: number, input: number | null, anchor: DOMRect) => void}} actions
   */
  constructor(root, index, painter, actions) {
    Object.assign(this, { root, index, painter, actions });
    this.graph = root.querySelector(".graph");
    this.scroll = root.querySelector(".graph-scroll");
    this.canvas = root.querySelector(".lines");
    this.context = this.canvas.getContext("2d");
    this.tip = element("div", "tip", null, this.graph);
    this.tip.hidden = true;
    this.extra = []; // layers of a deep network that the visitor has unfolded
    this.hovered = null;
    this.offset = 0;
    this.nodes = new Map(); // layer -> contexts of its pictures
    this.graph.addEventListener("pointermove", (event) => this.#hoverLine(event));
    this.graph.addEventListener("pointerleave", () => this.#showLine(null));
    this.graph.addEventListener("click", (event) => this.#clickLine(event));
  }

  /**
   * Builds the parts again if the structure or the space has changed.
   *
   * @param {object} state @param {object | null} data the newest `data` message @param {number} outputs of the network
   */
  build(state, data, outputs) {
    const layers = this.index ? state.second_layers : state.layers;
    const kind = this.index ? state.second_kind : state.kind;
    const height = state.second_layers === null ? 430 : 236;
    const isFull = this.index === 0 && !state.hide.includes("features");
    const width = Math.floor(this.scroll.clientWidth);
    this.extra = this.extra.filter((layer) => layer < layers.length);
    const { features } = state;
    const key = JSON.stringify([layers, kind, height, isFull, width, this.extra, features, outputs, isDark()]);
    if (width === 0 || (key === this.key && data === this.data)) return;
    Object.assign(this, { key, data, layers, kind, features, outputs });

    this.open = openLayers(layers.length, this.extra);
    this.layout = arrange({ layers, features, outputs, isFull, open: this.open, width, height });
    this.lines = makeLines(this.layout, features);
    this.links = makeLinks(this.layout, kind === "residual");
    this.colours = {
      positive: valueColour(1), negative: valueColour(-1), link: themeColour("--line-strong"),
      thin: themeColour("--ink"), paper: themeColour("--card"),
    };
    const ratio = Math.min(2, window.devicePixelRatio);
    this.ratio = ratio;
    this.canvas.width = this.layout.width * ratio;
    this.canvas.height = this.layout.height * ratio;
    for (const part of [this.canvas, this.graph]) {
      part.style.width = `${this.layout.width}px`;
      part.style.height = `${this.layout.height}px`;
    }
    const focused = document.activeElement?.id;
    this.graph.querySelectorAll(".part").forEach((part) => part.remove());
    this.nodes.clear();
    this.layout.columns.forEach((column) => this.#buildColumn(column));
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    if (this.last && this.last.layers.length === layers.length) this.draw(this.last, this.frame);
  }

  #buildColumn(column) {
    const { type, nodes, names, size } = column;
    if (type === "features") nodes.forEach((at, i) => this.#buildFeature(names[i], at, size));
    else if (type === "thin") this.#buildThin(column);
    else {
      if (type === "layer") this.#buildStepper(column);
      this.nodes.set(column.layer, nodes.map((at, unit) => this.#buildNeuron(column, unit, at)));
    }
  }

  #buildFeature(name, { x, y }, size) {
    const isOn = this.features.includes(name);
    const button = element("button", "part node feature", `Feature ${FEATURE_LABELS[name]}`, this.graph);
    button.id = this.index ? `feature-${name}-1` : `feature-${name}`;
    button.setAttribute("aria-pressed", isOn);
    place(button, x, y, size);
    const label = element("span", "part feature-label", null, this.graph);
    label.textContent = FEATURE_LABELS[name];
    label.style.cssText = `top:${y - 9}px;width:${x - size / 2 - 6}px`;
    if (this.data) {
      const bytes = this.data.feature_maps[FEATURES.indexOf(name)];
      const [size] = bytes.shape;
      const canvas = element("canvas", "", null, button);
      canvas.width = canvas.height = size;
      this.painter.paint(canvas.getContext("2d"), bytes, size);
      this.#watch(button, { feature: name, bytes, size, label: `Feature ${FEATURE_LABELS[name]}` });
    }
    button.addEventListener("click", () => this.actions.change({ toggle: name }));
  }

  #buildThin(column) {
    const name = `Unfold layer ${column.layer + 1}`;
    const button = element("button", "part thin", name, this.graph);
    const { top, bottom } = this.#body();
    button.style.cssText = `left:${column.x - 4}px;top:${top}px;width:8px;height:${bottom - top}px`;
    button.addEventListener("click", () => {
      this.extra.push(column.layer);
      this.actions.unfold(openLayers(this.layers.length, this.extra));
    });
  }

  #buildStepper(column) {
    const { layer, count, x } = column;
    const group = element("div", "part neuron-stepper", null, this.graph);
    group.dataset.group = "structure";
    group.style.left = `${x}px`;
    const add = (label, symbol, change, id) => {
      const button = element("button", "", label, group);
      button.textContent = symbol;
      button.id = `${id}-neuron-${this.index}-${layer}`;
      button.disabled = count + change < 1 || count + change > MAX_NEURONS;
      button.addEventListener("click", () => this.#setWidth(layer, count + change));
    };
    add(`Remove a neuron from layer ${layer + 1}`, "−", -1, "remove");
    element("span", "", null, group).textContent = count;
    add(`Add a neuron to layer ${layer + 1}`, "+", 1, "add");
  }

  #buildNeuron(column, unit, { x, y }) {
    const { layer, size, type } = column;
    const name = neuronName(layer, this.layers.length, unit);
    const button = element("button", `part node ${type}`, `${name}: look inside`, this.graph);
    button.id = `neuron-${this.index}-${layer}-${unit}`;
    place(button, x, y, size);
    button.addEventListener("click", () => this.actions.openNeuron(layer, unit));
    const bias = element("button", `part bias ${type}`, `${name}: bias and weights`, this.graph);
    bias.id = `bias-${this.index}-${layer}-${unit}`;
    const at = type === "head" ? [x + 15, y] : [x - size / 2 - 6, y + size / 2 - 4];
    place(bias, at[0], at[1], 12);
    bias.addEventListener("click", () => this.actions.edit(layer, unit, null, bias.getBoundingClientRect()));
    if (type === "head") {
      const isClass = this.outputs > 1;
      button.style.background = isClass ? classColour(unit, this.outputs) : "var(--muted)";
      return { button, x: at[0], y: at[1] };
    }
    this.#watch(button, { layer, unit, label: `${name[0].toUpperCase()}${name.slice(1)}` });
    const canvas = element("canvas", "", null, button);
    return { context: canvas.getContext("2d", { alpha: false }), canvas, x: at[0], y: at[1] };
  }

  #watch(button, target) {
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => this.actions.hover(target));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => this.actions.hover(null));
  }

  #setWidth(layer, width) {
    const layers = this.kind === "residual" ? this.layers.map(() => width) : this.layers.with(layer, width);
    this.actions.change({ layers });
  }

  /** @param {number} change 1 or -1 layers, at the end */
  changeDepth(change) {
    const { layers } = this;
    if (change < 0 && layers.length) this.actions.change({ layers: layers.slice(0, -1) });
    if (change > 0 && layers.length < MAX_LAYERS) this.actions.change({ layers: [...layers, layers.at(-1) ?? 4] });
  }

  #body() {
    const nodes = this.layout.columns.filter((column) => column.type === "layer").flatMap((column) => column.nodes);
    const half = this.layout.node / 2;
    return { top: Math.min(...nodes.map((at) => at.y)) - half, bottom: Math.max(...nodes.map((at) => at.y)) + half };
  }

  /** @param {object} network its part of the frame @param {object} frame */
  draw(network, frame) {
    this.last = network;
    this.frame = frame;
    if (network.layers.length !== this.layers?.length) return; // not built yet, or older than the last change
    for (const [layer, bytes] of Object.entries(network.maps)) {
      const [count, grid] = bytes.shape;
      const nodes = this.nodes.get(Number(layer));
      const range = network.ranges[layer];
      if (!nodes || nodes.length !== count) continue;
      for (let unit = 0; unit < count; unit += 1) {
        const { canvas, context } = nodes[unit];
        if (canvas.width !== grid) canvas.width = canvas.height = grid;
        this.painter.paint(context, bytes.subarray(unit * grid * grid, (unit + 1) * grid * grid), grid, { range });
      }
    }
    if (frame.playing && !calm.matches) this.offset -= 0.7;
    this.#drawLines();
  }

  #drawLines() {
    const { context, last, colours } = this;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.layout.width, this.layout.height);
    context.strokeStyle = colours.link;
    context.lineWidth = 1;
    context.stroke(this.links);
    this.#drawThin();
    context.setLineDash(calm.matches ? [] : [9, 1.5]);
    context.lineDashOffset = this.offset;
    for (const line of this.lines) {
      const weight = this.#weight(line);
      if (weight === undefined) continue;
      const size = Math.abs(weight);
      const isHovered = line === this.hovered;
      context.strokeStyle = weight < 0 ? colours.negative : colours.positive;
      context.globalAlpha = isHovered ? 1 : Math.min(0.95, 0.12 + size * 0.6);
      context.lineWidth = 0.6 + Math.min(size, 4) * 1.3 + (isHovered ? 2 : 0);
      context.stroke(line.path);
    }
    context.globalAlpha = 1;
    context.setLineDash([]);
    for (const [layer, nodes] of this.nodes) {
      const biases = last.biases[layer];
      nodes.forEach(({ x, y }, unit) => {
        context.fillStyle = valueColour(Math.max(-1, Math.min(1, biases[unit])));
        context.fillRect(x - 4, y - 4, 8, 8);
        context.strokeStyle = colours.link;
        context.strokeRect(x - 4, y - 4, 8, 8);
      });
    }
  }

  #drawThin() {
    const thin = this.layout.columns.filter((column) => column.type === "thin");
    if (!thin.length) return;
    const { top, bottom } = this.#body();
    this.context.fillStyle = this.colours.thin;
    for (const column of thin) {
      this.context.globalAlpha = 0.06 + 0.9 * gradientShare(this.last.gradients[column.layer]);
      this.context.fillRect(column.x - 3, top, 6, bottom - top);
    }
    this.context.globalAlpha = 1;
  }

  #weight({ layer, unit, input }) {
    const weights = this.last.weights[layer];
    const [units, inputs] = weights.shape;
    return unit < units && input < inputs ? weights[unit * inputs + input] : undefined;
  }

  #lineAt({ offsetX, offsetY, target }) {
    if (target !== this.canvas || !this.last) return null;
    const { context, ratio } = this;
    context.lineWidth = 9;
    return this.lines.findLast((line) => offsetX >= line.x1 && offsetX <= line.x2
      && context.isPointInStroke(line.path, offsetX * ratio, offsetY * ratio)) ?? null;
  }

  #hoverLine(event) {
    const line = this.#lineAt(event);
    this.#showLine(line);
    if (line) this.tip.style.transform = `translate(${event.offsetX + 12}px, ${event.offsetY + 12}px)`;
  }

  #showLine(line) {
    if (line === this.hovered) return;
    this.hovered = line;
    this.tip.hidden = line === null;
    this.canvas.style.cursor = line ? "pointer" : "";
    if (line) this.tip.textContent = `Weight ${formatNumber(this.#weight(line))}, click to change`;
    if (this.last) this.#drawLines();
  }

  #clickLine(event) {
    const line = this.#lineAt(event);
    if (line) this.actions.edit(line.layer, line.unit, line.input, new DOMRect(event.clientX, event.clientY, 0, 0));
  }
}
