/** Starts the page: keeps the state, sends what changes, and draws the frames that come back. */

import { CurveChart, GradientBars } from "./chart.js";
import { MapPainter, networkColour, onThemeChange } from "./colours.js";
import { connect } from "./connection.js";
import { copy, createEditForm, createTakeAway, showMessage } from "./dialogs.js";
import { createDigitsTab } from "./digits.js";
import { NetworkView, neuronName } from "./network.js";
import { createNeuronPanel } from "./neuron.js";
import { createPointTools, drawScale, OutputView } from "./output.js";
import {
  bindControls, defaultState, FEATURES, limitControls, readAddress, serverSettings, settle, SETTINGS, writeAddress,
} from "./settings.js";
import { createStories, FIRST_STORY } from "./stories.js";
import { createSurfacePanel } from "./surface.js";
import { drawThumbnails } from "./thumbnails.js";

const MIN_POINTS = 4; // own points are sent from this number on
const byId = (id) => document.getElementById(id);

const state = defaultState();
window.playground = { frames: 0, state, last: null };

const painter = new MapPainter();
const chart = new CurveChart(byId("chart"));
const bars = new GradientBars(byId("gradients"));
const cards = []; // one per network: its element, view, output and the cells of its table
let data = null;
let frame = null;
let session = null;
let isStarted = false; // the server has said what it was started with
let isReady = false; // the first settings of this connection are sent
let hasNewPoints = false; // own points that the server does not have yet
let sending = 0;

// ---------------------------------------------------------------------------------------------------- connection

const { send } = connect({ onMessage, onFrame, onState });

function onState(isConnected) {
  byId("lost").hidden = isConnected;
  isReady = false;
}

function sendSettings() {
  if (!isReady) return;
  if (state.shape === "points" && (state.points?.length ?? 0) < MIN_POINTS) return;
  send({ type: "settings", settings: serverSettings(state), ...(session && { session }) });
}

function onMessage(message) {
  const { type } = message;
  if (type === "hello") onHello(message);
  else if (type === "data") onData(message);
  else if (type === "error") showMessage(message.message, "error");
  else if (type === "info") showMessage(message.message);
  else if (type === "points") change({ shape: "points", points: message.points, points_task: message.task });
  else if (type === "config") showConfig(message);
  else if (type === "neuron") openPanel("neuron", message);
  else if (type === "surface") openPanel("surface", message);
  else if (["checkpoints", "digit", "loaded"].includes(type)) digits.show(message);
}

function onHello(message) {
  if (!isStarted) {
    isStarted = true;
    const address = readAddress(window.location.hash);
    const isDefault = Object.keys(SETTINGS).every(
      (name) => JSON.stringify(message.settings[name]) === JSON.stringify(SETTINGS[name]));
    if (address) Object.assign(state, address);
    else if (isDefault) stories.start(FIRST_STORY);
    else Object.assign(state, message.settings);
    showState();
  }
  isReady = true;
  sendSettings();
  session = message.session;
  send({ type: "speed", value: state.speed });
}

function onData(message) {
  data = message;
  hasNewPoints = false;
  cards.forEach(({ view }) => view.extra.length && view.actions.unfold(view.open));
  build();
  drawPoints();
}

// ---------------------------------------------------------------------------------------------------- state

/**
 * @param {object} changes of settings or of the view
 */
function change(changes) {
  Object.assign(state, changes);
  settle(state, Object.keys(changes));
  showState();
  if ("speed" in changes && isReady) send({ type: "speed", value: state.speed });
  if (Object.keys(changes).some((name) => name in SETTINGS)) sendSettings();
}

/** Starts from the defaults, as a story does. null: keeps all, and shows all controls. */
function applyStory(settings) {
  if (settings === null) change({ story: null, hide: [] });
  else change({ ...defaultState(), ...settings });
}

/** Shows the state in the address, in the controls and in the pictures. */
function showState() {
  history.replaceState(null, "", `#${writeAddress(state)}`);
  showControls();
  stories.show(state.story);
  points.refresh();
  showTab();
  build();
  limitControls(state);
  drawPoints();
}

function drawPoints() {
  const source = state.shape === "points" && (hasNewPoints || !data) ? points.local() : data;
  if (!source) return;
  cards.forEach(({ output }) => output.drawPoints(source, state.show_test));
  drawScale(source, state.rule);
}

// ---------------------------------------------------------------------------------------------------- networks

const layersOf = (index) => (index ? state.second_layers : state.layers);

function createCard(index) {
  const root = byId("network-template").content.firstElementChild.cloneNode(true);
  root.id = `network-${index}`;
  root.style.setProperty("--network", `var(--network-${index})`);
  root.querySelector("h2").textContent = `Network ${index + 1}`;
  byId("networks").append(root);
  const name = (key) => (index ? `second_${key}` : key);
  const output = new OutputView(root, painter, points.click);
  const view = new NetworkView(root, index, painter, {
    change: ({ layers, toggle }) => (toggle ? toggleFeature(toggle) : change({ [name("layers")]: layers })),
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
  for (const [part, depth] of [["add", 1], ["remove", -1]]) {
    const button = root.querySelector(`.${part}-layer`);
    button.id = `${part}-layer-${index}`;
    button.addEventListener("click", () => view.changeDepth(depth));
  }
  for (const radio of root.querySelectorAll(".kinds input")) {
    radio.name = name("kind");
    radio.id = `${name("kind")}-${radio.value}`;
    radio.addEventListener("change", () => change({ [name("kind")]: radio.value }));
  }
  const surface = root.querySelector(".surface-button");
  surface.id = `surface-${index}`;
  surface.addEventListener("click", () => send({ type: "surface", network: index }));
  const remove = root.querySelector(".remove-network");
  remove.id = `remove-network-${index}`;
  remove.addEventListener("click", () => change({ second_layers: null, second_kind: "plain" }));
  new ResizeObserver(() => requestAnimationFrame(build)).observe(view.scroll);
  return { root, view, output, cells: root.querySelectorAll("td"), summary: root.querySelector(".summary") };
}

function toggleFeature(name) {
  const chosen = new Set(state.features);
  if (!chosen.delete(name)) chosen.add(name);
  if (!chosen.size) showMessage("A network needs at least one feature.", "error");
  else change({ features: FEATURES.filter((feature) => chosen.has(feature)) });
}

/** Makes the cards agree with the state. */
function build() {
  if (!isStarted) return;
  const count = state.second_layers === null ? 1 : 2;
  while (cards.length > count) cards.pop().root.remove();
  while (cards.length < count) {
    cards.push(createCard(cards.length));
    drawPoints();
  }
  document.body.classList.toggle("two", count === 2);
  byId("add-network").hidden = count === 2 || state.hide.includes("second");
  const isSingle = state.rule === "original" || data?.task === "regression";
  cards.forEach(({ root, view }, index) => {
    const kind = index ? state.second_kind : state.kind;
    root.querySelectorAll(".kinds input").forEach((radio) => { radio.checked = radio.value === kind; });
    root.querySelector(".remove-network").hidden = index === 0 || state.hide.includes("second");
    const depth = layersOf(index).length;
    root.querySelector(".remove-layer").disabled = depth <= (kind === "residual" ? 1 : 0);
    root.querySelector(".add-layer").disabled = depth >= 50;
    root.querySelector(".stepper span").textContent = `${depth} hidden layer${depth === 1 ? "" : "s"}`;
    view.build(state, data, isSingle ? 1 : data?.num_classes ?? 2);
  });
  document.querySelectorAll("#networks [data-group]").forEach((part) => {
    if (!part.classList.contains("remove-network")) part.hidden = state.hide.includes(part.dataset.group);
  });
  const names = cards.map((_, index) => {
    const item = document.createElement("span");
    item.style.color = networkColour(index);
    item.textContent = `Network ${index + 1}`;
    return item;
  });
  byId("network-legend").replaceChildren(...(count === 2 ? names : []));
}

// ---------------------------------------------------------------------------------------------------- frames

const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const lossText = (loss) => (Number.isFinite(loss) ? loss.toPrecision(3) : "not finite");

function onFrame(newFrame) {
  frame = newFrame;
  window.playground.last = frame;
  window.playground.frames += 1;
  chart.add(frame.networks);
  drawFrame();
}

function drawFrame() {
  frame.networks.forEach((network, index) => {
    const card = cards[index];
    if (!card) return;
    card.view.draw(network, frame);
    card.output.draw(network, frame, state);
    const [train, test] = network.loss;
    const [trainCorrect, testCorrect] = (network.accuracy ?? []).map(percent);
    [lossText(train), trainCorrect, lossText(test), testCorrect].forEach((text, i) => setText(card.cells[i], text ?? ""));
    setText(card.summary, `${network.num_parameters.toLocaleString("en")} parameters`);
  });
  chart.marked = frame.index === null ? null : frame.epoch;
  chart.draw();
  bars.draw(frame.networks);
  const batch = frame.batch && !frame.playing ? ` + ${frame.batch}` : "";
  setText(byId("epoch"), `${frame.epoch.toLocaleString("en")}${batch}`);
  showPlaying(frame.playing);
  showRewind();
}

function showPlaying(isPlaying) {
  const play = byId("play");
  if (play.classList.contains("playing") === isPlaying) return;
  play.classList.toggle("playing", isPlaying);
  play.setAttribute("aria-label", isPlaying ? "Pause" : "Play");
}

function showRewind() {
  const slider = byId("rewind");
  const newest = frame.recorded.length - 1;
  if (slider.max !== String(newest)) slider.max = newest;
  slider.disabled = newest === 0;
  const value = frame.index ?? newest;
  if (document.activeElement !== slider || frame.index === null) slider.value = value;
  byId("newest").hidden = frame.index === null;
  setText(byId("rewind-text"), frame.index === null ? "" : `to epoch ${frame.epoch.toLocaleString("en")}`);
}

// ---------------------------------------------------------------------------------------------------- controls

function togglePlay() {
  const isPlaying = byId("play").classList.contains("playing");
  send({ type: isPlaying ? "pause" : "play" });
  showPlaying(!isPlaying);
}

const step = (unit) => send({ type: "step", unit });
const reset = () => send({ type: "reset" });
byId("play").addEventListener("click", togglePlay);
byId("step").addEventListener("click", () => step("epoch"));
byId("step-batch").addEventListener("click", () => step("batch"));
byId("reset").addEventListener("click", reset);
byId("regenerate").addEventListener("click", () => change({ points_seed: state.points_seed + 1 }));
byId("add-network").addEventListener("click",
  () => change({ second_layers: [...state.layers, state.layers.at(-1) ?? 4], second_kind: state.kind }));
byId("share").addEventListener("click", () => copy(window.location.href, "Link"));
byId("tensorboard").addEventListener("click", () => send({ type: "tensorboard" }));
byId("newest").addEventListener("click", () => send({ type: "show", index: null }));
byId("rewind").addEventListener("input", ({ target }) => {
  const index = Number(target.value);
  send({ type: "show", index: index === Number(target.max) ? null : index });
});
byId("measure").addEventListener("change", ({ target }) => {
  chart.measure = target.value;
  chart.draw();
});
byId("csv").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (file) send({ type: "csv", text: await file.text() });
  target.value = ""; // so that the same file can be chosen again
});

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, dialog");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || state.tab !== "plane") return;
  if (event.key === "s") step("epoch");
  else if (event.key === "r") reset();
  else if (event.key === " " && !event.target.closest("button, a")) {
    event.preventDefault();
    togglePlay();
  }
});

function showTab() {
  for (const name of ["plane", "digits"]) {
    byId(name).hidden = state.tab !== name;
    byId(`tab-${name}`).setAttribute("aria-selected", state.tab === name);
  }
  if (state.tab === "digits") send({ type: "checkpoints" });
}
for (const name of ["plane", "digits"]) byId(`tab-${name}`).addEventListener("click", () => change({ tab: name }));

// ---------------------------------------------------------------------------------------------------- panels

function openPanel(name, message) {
  const panel = byId(`${name}-panel`);
  if (name === "neuron") byId("neuron-title").textContent = `Inside ${neuronName(
    message.layer, layersOf(message.network).length, message.unit)}`;
  for (const other of document.querySelectorAll(".side-panel")) if (other !== panel) closePanel(other);
  if (panel.hidden) {
    panel.hidden = false;
    panel.opener = document.activeElement;
    byId(`${name}-close`).focus();
  }
  panels[name].show(message);
}

function closePanel(panel) {
  if (panel.hidden) return;
  panel.hidden = true;
  if (panel.id === "neuron-panel") {
    panels.neuron.close();
    send({ type: "neuron", network: null });
  }
  panel.opener?.focus();
}

for (const name of ["neuron", "surface"]) {
  const panel = byId(`${name}-panel`);
  byId(`${name}-close`).addEventListener("click", () => closePanel(panel));
  panel.addEventListener("keydown", (event) => event.key === "Escape" && closePanel(panel));
}

// ---------------------------------------------------------------------------------------------------- start

const panels = {
  neuron: createNeuronPanel(byId("neuron-root"), send),
  surface: createSurfacePanel(byId("surface-root"), send),
};
const digits = createDigitsTab(byId("digits-root"), send);
const openEdit = createEditForm(send);
const showConfig = createTakeAway(send, state);
const showControls = bindControls(state, (name, value) => change({ [name]: value }));
const stories = createStories(applyStory);
const points = createPointTools(state, () => {
  hasNewPoints = true;
  history.replaceState(null, "", `#${writeAddress(state)}`);
  drawPoints();
  clearTimeout(sending);
  sending = setTimeout(sendSettings, 300);
});

window.addEventListener("hashchange", () => {
  const address = readAddress(window.location.hash);
  if (address) change(address);
});
drawThumbnails();
onThemeChange(() => {
  drawThumbnails();
  build();
  drawPoints();
  if (frame) drawFrame();
});
