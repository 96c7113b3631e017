/** The card of a network: its name, the controls of its structure, its picture and its losses. */

import { showMessage } from "./dialogs.js";
import { NetworkView } from "./network.js";
import { OutputView } from "./output.js";
import { FEATURES, MAX_LAYERS } from "./settings.js";

/** @param {Node} node @param {string} text written only if it differs, so that the page need not be laid out again */
export const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };

const percent = (share) => (share === null ? "" : `${(100 * share).toFixed(1)} %`); // regression has no accuracy
const lossText = (loss) => (Number.isFinite(loss) ? loss.toFixed(3) : "not finite");

/** Adds a feature or removes it. */
function toggleFeature(name, { state, change }) {
  const chosen = new Set(state.features);
  if (!chosen.delete(name)) chosen.add(name);
  if (!chosen.size) showMessage("A network needs at least one feature.", "error");
  else change({ features: FEATURES.filter((feature) => chosen.has(feature)) });
}

/**
 * @param {number} index of the network
 * @param {object} page what the card needs of the page: `state`, `painter`, `send`, `change`, `build`, `openEdit`,
 *   `onPlane` for clicks in the big picture, and `cards`
 * @returns {object} the card
 */
export function createCard(index, page) {
  const { state, painter, send, change, build, openEdit, onPlane, cards } = page;
  const root = document.getElementById("network-template").content.firstElementChild.cloneNode(true);
  root.id = `network-${index}`;
  root.style.setProperty("--network", `var(--network-${index})`);
  root.querySelector("h2").textContent = `Network ${index + 1}`;
  document.getElementById("networks").append(root);
  const name = (key) => (index ? `second_${key}` : key);

  const output = new OutputView(root, painter, onPlane);
  const view = new NetworkView(root, index, painter, {
    change: ({ layers, toggle }) => (toggle ? toggleFeature(toggle, page) : change({ [name("layers")]: layers })),
    hover: (target) => cards.forEach((card) => {
      if (card.view === view || target === null || target.feature) card.output.show(target);
    }),
    openNeuron: (layer, unit) => send({ type: "neuron", network: index, layer, unit, sample: 0 }),
    unfold: (layers) => {
      build();
      send({ type: "unfold", network: index, layers });
    },
    edit: (layer, unit, input, anchor) => openEdit(view, layer, unit, input, anchor),
  });

  const button = (part, onClick) => {
    const node = root.querySelector(`.${part}`);
    node.id = `${part}-${index}`;
    node.addEventListener("click", onClick);
  };
  button("legend-open", () => document.getElementById("legend-dialog").showModal());
  button("add-layer", () => view.changeDepth(1));
  button("remove-layer", () => view.changeDepth(-1));
  button("loss-surface", () => send({ type: "surface", network: index }));
  button("remove-network", () => change({ second_layers: null, second_kind: "plain" }));
  for (const radio of root.querySelectorAll(".kinds input")) {
    radio.name = name("kind");
    radio.id = `${name("kind")}-${radio.value}`;
    radio.addEventListener("change", () => change({ [name("kind")]: radio.value }));
  }
  new ResizeObserver(() => requestAnimationFrame(build)).observe(view.scroll);
  return { root, index, view, output, cells: root.querySelectorAll("td"), summary: root.querySelector(".summary") };
}

/**
 * Makes a card agree with the state.
 *
 * @param {object} card @param {object} state @param {object | null} data the newest `data` message
 * @param {number} outputs of the network
 */
export function updateCard({ root, index, view }, state, data, outputs) {
  const [kind, layers] = index ? [state.second_kind, state.second_layers] : [state.kind, state.layers];
  root.querySelectorAll(".kinds input").forEach((radio) => { radio.checked = radio.value === kind; });
  root.querySelector(".legend-open").hidden = index > 0;
  root.querySelector(".remove-network").hidden = index === 0 || state.hide.includes("second");
  root.querySelector(".remove-layer").disabled = layers.length <= (kind === "residual" ? 1 : 0);
  root.querySelector(".add-layer").disabled = layers.length >= MAX_LAYERS;
  root.querySelector(".stepper span").textContent = `${layers.length} hidden layer${layers.length === 1 ? "" : "s"}`;
  root.classList.toggle("deep", layers.length > 3);
  view.build(state, data, outputs);
  root.querySelectorAll("[data-group]").forEach((part) => { part.hidden = state.hide.includes(part.dataset.group); });
}

/** @param {object} card @param {object} network its part of the frame @param {object} frame @param {object} state */
export function drawCard(card, network, frame, state) {
  card.view.draw(network, frame);
  card.output.draw(network, state);
  const [, train, test, trainCorrect, testCorrect] = network.metrics;
  const texts = [lossText(train), percent(trainCorrect), lossText(test), percent(testCorrect)];
  texts.forEach((text, i) => setText(card.cells[i], text));
  setText(card.summary, `${network.num_parameters.toLocaleString("en")} parameters`);
}
