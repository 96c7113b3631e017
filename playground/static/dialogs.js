/** What opens above the page: messages, the form to change a weight, and "Take it away". */

import { element } from "./elements.js";
import { FEATURE_LABELS } from "./settings.js";
import { neuronName } from "./network.js";

const byId = (id) => document.getElementById(id);

/**
 * Shows a message instead of the one before. An error stays longer.
 *
 * @param {string} text
 * @param {"info" | "error"} kind
 */
export function showMessage(text, kind = "info") {
  const close = element("button", { className: "icon", "aria-label": "Close this message", textContent: "×" });
  const box = element("div", { className: `message ${kind}` }, element("span", { textContent: text }), close);
  if (kind === "error") box.setAttribute("role", "alert");
  close.addEventListener("click", () => box.remove());
  byId("messages").replaceChildren(box);
  setTimeout(() => box.remove(), kind === "error" ? 15000 : 6000);
}

export const clearError = () => document.querySelector(".message.error")?.remove();

/** @param {string} text @param {string} what in the message that follows @param {string} [note] after it */
export async function copy(text, what, note = "") {
  try {
    await navigator.clipboard.writeText(text);
    showMessage(`${what} copied. ${note}`.trim());
  } catch {
    showMessage(`The browser does not allow copying. ${what}: ${text}`, "error");
  }
}

byId("legend-close").addEventListener("click", () => byId("legend-dialog").close());

function download(text, name) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

/**
 * The form to change a weight or a bias.
 *
 * @param {(message: object) => void} send
 * @returns {(view: import("./network.js").NetworkView, layer: number, unit: number, input: number | null,
 *   anchor: DOMRect) => void} opens it
 */
export function createEditForm(send) {
  const form = byId("edit");
  const choice = byId("edit-input");
  const value = byId("edit-value");
  let place = null;

  const close = () => {
    form.hidden = true;
    place?.opener?.focus();
    place = null;
  };
  const read = () => {
    const { view, layer, unit } = place;
    const weights = view.last.weights[layer];
    const number = choice.value === "bias"
      ? view.last.biases[layer][unit] : weights[unit * weights.shape[1] + Number(choice.value)];
    value.value = Number(number.toPrecision(4));
  };
  choice.addEventListener("change", read);
  byId("edit-close").addEventListener("click", close);
  form.addEventListener("keydown", (event) => event.key === "Escape" && close());
  document.addEventListener("pointerdown", ({ target }) => {
    if (!form.hidden && !form.contains(target)) form.hidden = true;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { view, layer, unit } = place;
    const input = choice.value === "bias" ? null : Number(choice.value);
    send({ type: "edit", network: view.index, layer, unit, input, value: Number(value.value) });
  });

  return (view, layer, unit, input, anchor) => {
    if (!view.last) return;
    place = { view, layer, unit, opener: input === null ? document.activeElement : null };
    const names = layer === 0
      ? view.features.map((name) => FEATURE_LABELS[name])
      : Array.from({ length: view.layers[layer - 1] }, (_, i) => neuronName(layer - 1, view.layers.length, i));
    const options = names.map((name, i) => new Option(`weight from ${name}`, i));
    choice.replaceChildren(new Option("bias", "bias"), ...options);
    choice.value = input === null ? "bias" : String(input);
    byId("edit-title").textContent = neuronName(layer, view.layers.length, unit);
    read();
    form.hidden = false;
    const left = Math.min(anchor.right + 8, window.innerWidth - form.offsetWidth - 8);
    const top = Math.min(anchor.bottom + 8, window.innerHeight - form.offsetHeight - 8);
    form.style.left = `${Math.max(8, left)}px`;
    form.style.top = `${Math.max(8, top)}px`;
    value.focus();
    value.select();
  };
}

/**
 * "Take it away": the config that trains the same network on the command line.
 *
 * @param {(message: object) => void} send
 * @param {object} state
 * @returns {(message: object) => void} shows a `config` message
 */
export function createTakeAway(send, state) {
  const dialog = byId("take-away-dialog");
  const network = byId("config-network");
  let config = null;
  const ask = () => send({ type: "config", network: Number(network.value) });

  byId("take-away").addEventListener("click", () => {
    network.value = "0";
    byId("config-network-field").hidden = state.second_layers === null;
    ask();
  });
  network.addEventListener("change", ask);
  byId("config-copy").addEventListener("click", () => copy(config.yaml, "Config"));
  byId("config-download").addEventListener("click", () => download(config.yaml, config.name));
  byId("config-csv").addEventListener("click", () => download(config.csv, "points.csv"));
  byId("command-copy").addEventListener("click", () => copy(config.command, "Command"));
  byId("config-close").addEventListener("click", () => dialog.close());

  return (message) => {
    config = message;
    byId("config-yaml").textContent = message.yaml;
    byId("config-command").textContent = message.command;
    byId("config-name").textContent = message.name;
    byId("config-csv").hidden = message.csv === null;
    if (!dialog.open) dialog.showModal();
  };
}
