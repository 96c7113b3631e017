/** The big picture of a network's output with the points of the data, and drawing of own points. */

import { classColour, themeColour, valueColour } from "./colours.js";
import { element } from "./elements.js";
import { isEnough, MIN_POINTS } from "./settings.js";

const REACH = 6; // the picture shows -6 to 6 in both directions
const PIXELS = 520; // of the canvas with the points
const MAX_CLASSES = 6;

/** The big picture of one network. */
export class OutputView {
  /**
   * @param {HTMLElement} root the card of the network
   * @param {import("./colours.js").MapPainter} painter
   * @param {(x: number, y: number) => void} onClick called with the place in the plane
   */
  constructor(root, painter, onClick) {
    this.painter = painter;
    this.map = root.querySelector("canvas.map");
    this.mapContext = this.map.getContext("2d", { alpha: false });
    this.canvas = root.querySelector("canvas.points");
    this.context = this.canvas.getContext("2d");
    this.canvas.width = PIXELS;
    this.canvas.height = PIXELS;
    this.caption = root.querySelector(".what");
    this.target = null; // the neuron or feature under the pointer
    this.canvas.addEventListener("click", ({ offsetX, offsetY }) => {
      const side = this.canvas.clientWidth;
      onClick((offsetX / side) * 2 * REACH - REACH, REACH - (offsetY / side) * 2 * REACH);
    });
  }

  /** @param {object | null} target a hovered neuron or feature, or null for the output of the network */
  show(target) {
    this.target = target;
    if (this.network) this.draw(this.network, this.state);
  }

  /** @param {object} network its part of the frame @param {object} state */
  draw(network, state) {
    Object.assign(this, { network, state });
    const { target } = this;
    let label = "Output of the network";
    if (target?.feature) {
      label = target.label;
      this.#paint(target.bytes, target.size, { discrete: state.discretize });
    } else if (target && network.maps[target.layer] !== undefined) {
      const maps = network.maps[target.layer];
      const [count, size] = maps.shape;
      if (target.unit < count) {
        const bytes = maps.subarray(target.unit * size * size, (target.unit + 1) * size * size);
        this.#paint(bytes, size, { discrete: state.discretize, range: network.ranges[target.layer] });
        label = target.label;
      }
    } else {
      const { output, confidence } = network; // confidence: with more than two classes
      this.#paint(output, output.shape[0], { discrete: state.discretize, confidence });
    }
    if (this.caption.textContent !== label) this.caption.textContent = label;
  }

  #paint(bytes, size, options) {
    if (this.map.width !== size) this.map.width = this.map.height = size;
    this.map.classList.toggle("crisp", options.discrete);
    this.painter.paint(this.mapContext, bytes, size, options);
  }

  /**
   * Draws the points. Called when they change, not in every frame.
   *
   * @param {object} data the `data` message
   * @param {boolean} showTest
   */
  drawPoints(data, showTest) {
    const { context } = this;
    context.clearRect(0, 0, PIXELS, PIXELS);
    const scale = PIXELS / (2 * REACH);
    const radius = data.train.length > 700 ? 5 : 6.5;
    const draw = (points, edge, width) => {
      context.strokeStyle = edge;
      context.lineWidth = width;
      for (const [x, y, target] of points) {
        context.beginPath();
        context.arc((x + REACH) * scale, (REACH - y) * scale, radius, 0, 2 * Math.PI);
        context.fillStyle = pointColour(data, target);
        context.fill();
        context.stroke();
      }
    };
    if (showTest) draw(data.test, themeColour("--ink"), 1.5);
    draw(data.train, themeColour("--point-edge"), 1.5);
    const count = `${data.train.length} training points${showTest ? ` and ${data.test.length} test points` : ""}`;
    this.canvas.setAttribute("aria-label", `Output of the network over the plane, with ${count}`);
  }
}

const pointColour = (data, target) =>
  data.task === "regression" ? valueColour(target / data.limit) : classColour(target, data.num_classes);

/**
 * The legend of the colours: a bar for values, or one dot per class.
 *
 * @param {object} data the `data` message
 * @param {string} rule
 */
export function drawScale(data, rule) {
  const canvas = document.getElementById("scale");
  const labels = document.getElementById("scale-labels");
  const isSmooth = data.task === "regression" || data.num_classes === 2;
  canvas.hidden = !isSmooth;
  labels.replaceChildren();
  if (!isSmooth) {
    for (let index = 0; index < data.num_classes; index += 1) {
      const dot = element("span", { className: "dot" });
      dot.style.background = classColour(index, data.num_classes);
      labels.append(element("span", {}, dot, `class ${index}`));
    }
    return;
  }
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x += 1) {
    context.fillStyle = valueColour((2 * x) / canvas.width - 1);
    context.fillRect(x, 0, 1, canvas.height);
  }
  const limit = Number(data.limit.toPrecision(2));
  let texts = ["class 0", "probability", "class 1"];
  if (data.task === "regression") texts = [`−${limit}`, "0", `+${limit}`];
  else if (rule === "original") texts = ["−1", "0", "+1"];
  for (const text of texts) labels.append(element("span", { textContent: text }));
}

/**
 * Own points: the tools beside the data sets, and what a click in the big picture adds.
 *
 * @param {object} state
 * @param {() => void} onChange called when the points have changed
 * @returns {{click: (x: number, y: number) => void, refresh: () => void, local: () => object}} local: a `data` message
 *   of the points that are drawn so far
 */
export function createPointTools(state, onChange) {
  const byId = (id) => document.getElementById(id);
  const classes = byId("point-class");
  const value = byId("point-value");

  const refresh = () => {
    const needs = state.points_task === "regression" ? "" : ", of class 0 and at least one other class";
    byId("points-hint").textContent = "Click in the large picture to add points."
      + (isEnough(state) ? "" : ` Training needs ${MIN_POINTS} points or more${needs}.`);
    byId("points-tools").hidden = state.shape !== "points";
    document.body.classList.toggle("drawing", state.shape === "points");
    byId("point-class-field").hidden = state.points_task !== "classification";
    byId("point-value-field").hidden = state.points_task !== "regression";
    const count = state.rule === "original" ? 2 : MAX_CLASSES;
    if (classes.options.length !== count) {
      classes.replaceChildren(...Array.from({ length: count }, (_, index) => new Option(`Class ${index}`, index)));
    }
    byId("points-undo").disabled = byId("points-clear").disabled = !state.points?.length;
  };

  const set = (points) => {
    state.points = points;
    onChange();
  };

  const click = (x, y) => {
    if (state.shape !== "points") return;
    const target = state.points_task === "regression" ? Number(value.value) : Number(classes.value);
    set([...(state.points ?? []), [Number(x.toFixed(2)), Number(y.toFixed(2)), target]]);
  };

  value.addEventListener("input", () => { value.closest(".field").querySelector("output").value = value.value; });
  byId("points-undo").addEventListener("click", () => set(state.points.slice(0, -1)));
  byId("points-clear").addEventListener("click", () => set([]));

  const local = () => ({
    task: state.points_task, limit: 1, train: state.points ?? [], test: [],
    num_classes: Math.max(2, ...(state.points ?? []).map(([, , target]) => target + 1)),
  });
  return { click, refresh, local };
}
