/** Starts the page: keeps the state, sends what changes, and draws the frames that come back. */

import { createCard, drawCard, setText, updateCard } from "./cards.js";
import { CurveChart, GradientBars } from "./chart.js";
import { MapPainter, networkColour, onThemeChange } from "./colours.js";
import { connect } from "./connection.js";
import { clearError, copy, createEditForm, createTakeAway, showMessage } from "./dialogs.js";
import { createDigitsTab } from "./digits.js";
import { element } from "./elements.js";
import { createPointTools, drawScale } from "./output.js";
import { createPanels } from "./panels.js";
import {
  bindControls, defaultState, isEnough, limitControls, readAddress, serverSettings, settle, SETTINGS, writeAddress,
} from "./settings.js";
import { createStories, FIRST_STORY } from "./stories.js";
import { drawThumbnails } from "./thumbnails.js";

const MAX_FILE = 500_000; // bytes
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
let isLinkOpen = false; // a link was sent, and the server has not accepted or refused it yet
let sending = 0;

// ---------------------------------------------------------------------------------------------------- connection

const { send } = connect({ onMessage, onFrame, onState });

function onState(isConnected) {
  byId("lost").hidden = isConnected;
  isReady = false;
}

/** Sends what the visitor asks for. The error of the action before is out of date then. */
function act(message) {
  clearError();
  send(message);
}

function sendSettings() {
  if (!isReady || !isEnough(state)) return;
  act({ type: "settings", settings: serverSettings(state), ...(session && { session }) });
}

function onMessage(message) {
  const { type } = message;
  if (type === "hello") onHello(message);
  else if (type === "data") onData(message);
  else if (type === "error") onError(message.message);
  else if (type === "info") showMessage(message.message);
  else if (type === "points") change({ shape: "points", points: message.points, points_task: message.points_task });
  else if (type === "config") showConfig(message);
  else if (type === "neuron" || type === "surface") panels.show(message);
  else if (type === "checkpoints" || type === "digit") digits.show(message);
}

/** Shows an error. If the server has refused the settings of a link, the page goes back to its defaults. */
function onError(text) {
  if (isLinkOpen) change(defaultState());
  showMessage(isLinkOpen ? `${text}. The page shows its defaults instead.` : text, "error");
  isLinkOpen = false;
}

function onHello(message) {
  const address = isStarted ? null : readAddress(window.location.hash);
  if (!isStarted) {
    isStarted = true;
    const isDefault = Object.keys(SETTINGS).every(
      (name) => JSON.stringify(message.settings[name]) === JSON.stringify(SETTINGS[name]));
    if (address) applyAddress(address.state);
    else if (isDefault) stories.start(FIRST_STORY);
    else Object.assign(state, message.settings);
    showState();
  } else showTab();
  isReady = true;
  sendSettings();
  session = message.session;
  if (!address) return;
  isLinkOpen = isEnough(state);
  showFaults(address.faults);
}

function onData(message) {
  data = message;
  hasNewPoints = false;
  isLinkOpen = false;
  panels.close(); // they show networks that are gone
  send({ type: "speed", value: state.speed });
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
  if ("speed" in changes && isReady && data) send({ type: "speed", value: state.speed });
  if (Object.keys(changes).some((name) => name in SETTINGS)) sendSettings();
}

/** @param {object} address what a link says, whose settings go together except for what was typed by hand */
function applyAddress(address) {
  Object.assign(state, address);
  settle(state, []);
}

function showFaults(faults) {
  if (faults.length) showMessage(faults.join("\n"), "error");
}

/** Starts at epoch 0 from the defaults, as a story does. null: keeps all, and shows all controls. */
function applyStory(settings) {
  if (settings === null) {
    change({ story: null, hide: [] });
    return;
  }
  change({ ...defaultState(), ...settings });
  if (data) send({ type: "reset" }); // the server keeps the networks if only the learning rate is another
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
  if (frame?.playing && !isEnough(state)) send({ type: "pause" });
}

function drawPoints() {
  const source = state.shape === "points" && (hasNewPoints || !data || !isEnough(state)) ? points.local() : data;
  if (!source) return;
  const showTest = state.show_test || state.shape === "points"; // no point that was drawn disappears
  cards.forEach(({ output }) => output.drawPoints(source, showTest));
  drawScale(source, state.rule);
}

// ---------------------------------------------------------------------------------------------------- networks

/** Makes the cards of the networks agree with the state. */
function build() {
  if (!isStarted) return;
  const count = state.second_layers === null ? 1 : 2;
  while (cards.length > count) cards.pop().root.remove();
  while (cards.length < count) {
    const page = { state, painter, send: act, change, build, openEdit, onPlane: points.click, cards };
    cards.push(createCard(cards.length, page));
    drawPoints();
  }
  document.body.classList.toggle("two", count === 2);
  byId("add-network").hidden = count === 2 || state.hide.includes("second");
  const isSingle = state.rule === "original" || data?.task === "regression";
  cards.forEach((card) => updateCard(card, state, data, isSingle ? 1 : data?.num_classes ?? 2));
  const names = cards.map((_, index) => {
    const name = element("span", { textContent: `Network ${index + 1}` });
    name.style.color = networkColour(index);
    return name;
  });
  byId("network-legend").replaceChildren(...(count === 2 ? names : []));
}

// ---------------------------------------------------------------------------------------------------- frames


function onFrame(newFrame) {
  frame = newFrame;
  window.playground.last = frame;
  window.playground.frames += 1;
  chart.add(frame.networks);
  drawFrame();
}

function drawFrame() {
  frame.networks.forEach((network, index) => {
    if (cards[index]) drawCard(cards[index], network, frame, state);
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
  act({ type: isPlaying ? "pause" : "play" });
  if (frame) showPlaying(!isPlaying);
}

byId("play").addEventListener("click", togglePlay);
byId("step").addEventListener("click", () => act({ type: "step", unit: "epoch" }));
byId("step-batch").addEventListener("click", () => act({ type: "step", unit: "batch" }));
byId("reset").addEventListener("click", () => act({ type: "reset" }));
byId("regenerate").addEventListener("click", () => change({ points_seed: state.points_seed + 1 }));
byId("add-network").addEventListener("click",
  () => change({ second_layers: [...state.layers, state.layers.at(-1) ?? 4], second_kind: state.kind }));
byId("share").addEventListener("click", () => copy(window.location.href, "Link",
  "Trained epochs and edited weights are not part of it."));
byId("tensorboard").addEventListener("click", () => act({ type: "tensorboard" }));
byId("newest").addEventListener("click", () => send({ type: "show", index: null }));
byId("rewind").addEventListener("input", ({ target }) => {
  const index = Number(target.value);
  send({ type: "show", index: index === Number(target.max) ? null : index });
});
byId("measure").addEventListener("change", ({ target }) => {
  chart.measure = target.value;
  byId("chart").setAttribute("aria-label", `Curves of training and test ${target.value}`);
  chart.draw();
});
byId("csv").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (file?.size > MAX_FILE) showMessage(`${file.name} is too large; upload at most 2,000 points.`, "error");
  else if (file) act({ type: "csv", text: await file.text() });
  target.value = ""; // so that the same file can be chosen again
});

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, dialog");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || state.tab !== "plane") return;
  if (event.key === "s") byId("step").click();
  else if (event.key === "r") byId("reset").click();
  else if (event.key === " " && !event.target.closest("button, a")) {
    event.preventDefault();
    byId("play").click();
  }
});

function showTab() {
  for (const name of ["plane", "digits"]) {
    byId(name).hidden = state.tab !== name;
    byId(`tab-${name}`).setAttribute("aria-selected", state.tab === name);
  }
  byId("top-actions").hidden = state.tab !== "plane";
  if (state.tab === "digits") send({ type: "checkpoints" });
}
for (const name of ["plane", "digits"]) byId(`tab-${name}`).addEventListener("click", () => change({ tab: name }));

// ---------------------------------------------------------------------------------------------------- start

const panels = createPanels(send, (network) => cards[network].view.layers.length);
const digits = createDigitsTab(byId("digits-root"), send);
const openEdit = createEditForm(send);
const showConfig = createTakeAway(act, state);
const showControls = bindControls(state, (name, value) => change({ [name]: value }));
const stories = createStories(applyStory);
const points = createPointTools(state, () => {
  hasNewPoints = true;
  showState();
  clearTimeout(sending);
  sending = setTimeout(sendSettings, 300);
});

window.addEventListener("hashchange", () => {
  const address = readAddress(window.location.hash);
  if (!address) return;
  applyAddress(address.state);
  showState();
  sendSettings();
  isLinkOpen = isEnough(state);
  if (isLinkOpen) send({ type: "reset" }); // a link starts at epoch 0
  showFaults(address.faults);
});
drawThumbnails();
onThemeChange(() => {
  drawThumbnails();
  build();
  drawPoints();
  if (frame) drawFrame();
});
