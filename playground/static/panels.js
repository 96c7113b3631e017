/** The side panels: inside a neuron, and the loss surface. One is open at a time. */

import { neuronName } from "./network.js";
import { createNeuronPanel } from "./neuron.js";
import { createSurfacePanel } from "./surface.js";

const byId = (id) => document.getElementById(id);

/**
 * @param {(message: object) => void} send
 * @param {(network: number) => number} getDepth the number of hidden layers of a network
 * @returns {{show: (message: object) => void, close: () => void}} show takes a `neuron` or `surface` message
 */
export function createPanels(send, getDepth) {
  const contents = {
    neuron: createNeuronPanel(byId("neuron-root"), send),
    surface: createSurfacePanel(byId("surface-root"), send),
  };
  const openers = {}; // id of what had the focus before; a neuron is built again when the page makes room

  const close = (name) => {
    const panel = byId(`${name}-panel`);
    if (panel.hidden) return;
    panel.hidden = true;
    document.body.classList.remove("panel-open");
    if (name === "neuron") {
      contents.neuron.close();
      send({ type: "neuron", network: null });
    }
    document.getElementById(openers[name])?.focus();
  };

  for (const name of Object.keys(contents)) {
    byId(`${name}-close`).addEventListener("click", () => close(name));
    byId(`${name}-panel`).addEventListener("keydown", (event) => event.key === "Escape" && close(name));
  }

  const show = (message) => {
    const name = message.type;
    const panel = byId(`${name}-panel`);
    if (name === "neuron") {
      const { network, layer, unit } = message;
      byId("neuron-title").textContent = `Inside ${neuronName(layer, getDepth(network), unit)}`;
    }
    for (const other of Object.keys(contents)) if (other !== name) close(other);
    if (panel.hidden) {
      openers[name] = document.activeElement.id;
      panel.hidden = false;
      document.body.classList.add("panel-open");
      byId(`${name}-close`).focus();
    }
    contents[name].show(message);
  };
  return { show, close: () => Object.keys(contents).forEach(close) };
}
