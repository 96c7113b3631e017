/** Inside a neuron: the forward pass, the backward pass and the update of its weights, with numbers. */

import { element, formatNumber } from "./elements.js";
import { FEATURE_LABELS } from "./settings.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 360;
const HEIGHT = 150;
const FUNCTIONS = {
  tanh: { formula: "tanh(z)", compute: Math.tanh },
  relu: { formula: "max(0, z)", compute: (z) => Math.max(0, z) },
  sigmoid: { formula: "1 / (1 + e⁻ᶻ)", compute: (z) => 1 / (1 + Math.exp(-z)) },
  linear: { formula: "z", compute: (z) => z },
};

/**
 * Builds the panel inside an element.
 *
 * @param {HTMLElement} root
 * @param {(message: object) => void} send
 * @returns {{show: (message: object) => void, close: () => void}} show takes a `neuron` message
 */
export function createNeuronPanel(root, send) {
  let last = null;
  const number = element("input", { type: "number", min: 1, value: 1 });
  const previous = element("button",
    { type: "button", className: "icon", textContent: "‹", "aria-label": "Previous sample" });
  const next = element("button",
    { type: "button", className: "icon", textContent: "›", "aria-label": "Next sample" });
  const count = element("span", { className: "caption" });
  const step = element("button", { type: "button", className: "strong", textContent: "Step one batch" });
  const point = element("p", { className: "neuron-point" });
  const forward = new Table(["Input", "Value", "Weight", "Product"]);
  const sum = element("div", { className: "neuron-formulas" });
  const curve = element("figure", { className: "neuron-curve" });
  const backward = element("div", { className: "neuron-formulas" });
  const update = new Table(["Weight from", "Gradient", "Now", "Next"]);

  root.classList.add("neuron");
  root.append(
    element("div", { className: "row neuron-controls" },
      element("label", { className: "neuron-sample" }, "Sample ", number), count, previous, next, step),
    point,
    section("Forward pass",
      "The neuron multiplies each input by its weight, adds the products and the bias, and applies the activation "
      + "function.",
      forward.root, sum, curve),
    section("Backward pass",
      "The gradient of this sample's loss L arrives at the output. The chain rule multiplies it by the slope of the "
      + "activation function. The result, δ (delta), is the gradient of L with respect to the sum z.",
      backward),
    section("Update",
      "The gradient of a weight is δ · input, averaged over all samples of the batch. The optimizer computes the "
      + "next value from it. For plain SGD: next = now − learning rate · gradient.",
      update.root));

  const ask = (sample) => {
    if (!last) return;
    const { network, layer, unit } = last;
    send({ type: "neuron", network, layer, unit, sample: Math.min(last.batch_size - 1, Math.max(0, sample)) });
  };
  number.addEventListener("change", () => ask(Math.round(number.value) - 1));
  previous.addEventListener("click", () => ask(last.sample - 1));
  next.addEventListener("click", () => ask(last.sample + 1));
  step.addEventListener("click", () => send({ type: "step", unit: "batch" }));

  return {
    show(message) {
      last = message;
      const [x, y, target] = message.point;
      number.max = message.batch_size;
      if (document.activeElement !== number) number.value = message.sample + 1;
      count.textContent = `of ${message.batch_size}`;
      previous.disabled = message.sample === 0;
      next.disabled = message.sample === message.batch_size - 1;
      const targetText = Number.isInteger(target) ? target : formatNumber(target, 2); // a class is a whole number
      point.textContent = `Point (${formatNumber(x, 2)}, ${formatNumber(y, 2)}), target ${targetText}, `
        + `loss L = ${formatNumber(message.loss)}`;
      forward.fill(message.inputs.map((input) => [nameOf(input), input.value, input.weight, input.product]));
      sum.replaceChildren(...forwardFormulas(message));
      curve.replaceChildren(...drawActivation(message));
      backward.replaceChildren(...backwardFormulas(message));
      update.fill([
        ...message.inputs.map((input) => [nameOf(input), input.gradient, input.weight, input.next]),
        ["bias", message.bias_gradient, message.bias, message.bias_next],
      ]);
    },
    close() {
      last = null;
    },
  };
}

const nameOf = (input) => FEATURE_LABELS[input.name] ?? input.name;

const section = (title, caption, ...children) => element("section", {},
  element("h3", { textContent: title }), element("p", { className: "caption", textContent: caption }), ...children);

/** A table of names and numbers. */
class Table {
  /** @param {string[]} head */
  constructor(head) {
    this.body = element("tbody");
    this.root = element("table", { className: "neuron-table" },
      element("thead", {},
        element("tr", {}, ...head.map((name) => element("th", { scope: "col", textContent: name })))),
      this.body);
  }

  /** @param {[string, ...(number | null)[]][]} rows */
  fill(rows) {
    this.body.replaceChildren(...rows.map(([name, ...numbers]) => element("tr", {},
      element("th", { scope: "row", textContent: name }),
      ...numbers.map((value) => element("td", { textContent: formatNumber(value) })))));
  }
}

/** A line with what is computed, the formula and the value. */
const formula = (meaning, text, value) => element("p", {},
  element("span", { className: "meaning", textContent: meaning }),
  element("span", { className: "formula", textContent: text }),
  element("b", { textContent: `= ${formatNumber(value)}` }));

function forwardFormulas(message) {
  const products = message.inputs.map(({ product }) => product);
  const total = products.includes(null) ? null : products.reduce((sum, product) => sum + product, 0);
  const lines = [
    formula("sum of products", "Σ wᵢ xᵢ", total),
    formula("bias", "b", message.bias),
    formula("weighted sum", "z = Σ wᵢ xᵢ + b", message.sum),
    formula("output", `h = ${FUNCTIONS[message.activation].formula}`, message.output),
  ];
  if (message.scale !== null) {
    lines.push(
      formula("skip connection", "x", message.skip),
      formula("scale", "s", message.scale),
      formula("result", "r = x + s · h", message.result));
  }
  return lines;
}

const backwardFormulas = (message) => [
  formula("arriving gradient", "∂L/∂h", message.arriving),
  formula("slope of the activation", "∂h/∂z", message.slope),
  formula("delta", "δ = ∂L/∂h · ∂h/∂z", message.delta),
];

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function label(x, y, text, anchor) {
  const made = shape("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}

/** The activation function, its tangent, and the point at which the neuron is. */
function drawActivation({ activation, sum, output, slope }) {
  if (sum === null || output === null) return [];
  const { compute, formula: text } = FUNCTIONS[activation];
  const reach = Math.max(4, 1.2 * Math.abs(sum));
  const places = Array.from({ length: 121 }, (_, i) => reach * (i / 60 - 1));
  const values = places.map(compute);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const margin = 14;
  const toX = (z) => WIDTH * (z / reach + 1) / 2;
  const toY = (h) => HEIGHT - margin - (HEIGHT - 2 * margin) * (h - low) / (high - low);
  const path = places.map((z, i) => `${i ? "L" : "M"}${toX(z).toFixed(1)} ${toY(values[i]).toFixed(1)}`).join("");
  const half = reach / 5; // of the tangent
  const picture = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
    "aria-label": `${text} at z = ${formatNumber(sum)}: ${formatNumber(output)}, slope ${formatNumber(slope)}` });
  picture.append(
    shape("line", { x1: 0, x2: WIDTH, y1: toY(0), y2: toY(0), class: "axis" }),
    shape("line", { x1: toX(0), x2: toX(0), y1: 0, y2: HEIGHT, class: "axis" }),
    shape("line", { x1: toX(sum), x2: toX(sum), y1: toY(0), y2: toY(output), class: "drop" }),
    shape("path", { d: path, class: "curve" }),
    shape("line", { x1: toX(sum - half), x2: toX(sum + half), y1: toY(output - half * slope),
      y2: toY(output + half * slope), class: "tangent" }),
    shape("circle", { cx: toX(sum), cy: toY(output), r: 5, class: "point" }),
    label(WIDTH - 4, toY(0) - 5, `z = ${formatNumber(reach, 1)}`, "end"),
    label(toX(0) + 6, 11, `h = ${formatNumber(high, 1)}`, "start"),
    label(toX(0) + 6, HEIGHT - 4, formatNumber(low, 1), "start"),
    label(4, toY(0) - 5, formatNumber(-reach, 1), "start"));
  return [picture, element("figcaption", { className: "caption", textContent:
    "The activation function. The point is this neuron. The short blue line is the tangent: its slope says how much "
    + "the output h changes if the sum z changes a little." })];
}
