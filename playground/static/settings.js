/** The state of the page: its defaults, the address, and the controls that change it. */

import { STORIES } from "./stories.js";

export const MAX_LAYERS = 50;
export const MAX_NEURONS = 16;
export const MIN_POINTS = 4; // of one's own
export const FEATURES = ["x", "y", "x2", "y2", "xy", "sin_x", "sin_y"];
export const FEATURE_LABELS = {
  x: "x", y: "y", x2: "x²", y2: "y²", xy: "xy", sin_x: "sin x", sin_y: "sin y",
};

/** The settings of the network and its data, as the server knows them. */
export const SETTINGS = {
  rule: "package", shape: "circle", num_classes: 2, points: null, points_task: "classification",
  num_samples: 500, noise: 0, train_share: 0.5, points_seed: 0, batch_size: 10, features: ["x", "y"],
  kind: "plain", layers: [4, 2], second_kind: "plain", second_layers: null,
  activation: "tanh", optimizer: "sgd", lr: 0.03, regularization: "none", regularization_rate: 0, dropout: 0,
  seed: 0, stop_epoch: null, stop_loss: null,
};

/** What only the page knows. `hide` lists groups of controls that are hidden. */
export const VIEW = { show_test: false, discretize: false, speed: 25, tab: "plane", hide: [], story: null };

const KINDS = ["plain", "residual"];
const CHOICES = {
  rule: ["package", "original"], shape: ["circle", "xor", "gauss", "spiral", "plane", "bumps", "points"],
  points_task: ["classification", "regression"], kind: KINDS, second_kind: KINDS, features: FEATURES,
  activation: ["relu", "tanh", "sigmoid", "linear"], optimizer: ["sgd", "momentum", "adamw"],
  regularization: ["none", "l1", "l2"], show_test: [true, false], discretize: [true, false], tab: ["plane", "digits"],
};
const STORY_STEPS = STORIES.flatMap(({ id, steps }) => steps.map((_, index) => `${id}.${index + 1}`));

const OPTIONAL_NUMBERS = ["stop_epoch", "stop_loss"];
const OPTIONAL_TEXTS = ["story"];
const NUMBER_LISTS = ["layers", "second_layers"];
const TEXT_LISTS = ["features", "hide"];

/** @returns {object} a new state with all defaults */
export const defaultState = () => structuredClone({ ...SETTINGS, ...VIEW });

/** @param {object} state @returns {object} what the server takes */
export function serverSettings(state) {
  const settings = Object.fromEntries(Object.keys(SETTINGS).map((name) => [name, state[name]]));
  if (state.shape !== "points") return { ...settings, points: null };
  // The first points that are drawn are fewer than a batch.
  const numTrain = Math.floor(state.points.length * state.train_share);
  return { ...settings, batch_size: Math.max(1, Math.min(state.batch_size, numTrain)) };
}

/** Whether there is something to train on: of own points, several of at least two classes. @param {object} state */
export function isEnough({ shape, points, points_task: task }) {
  if (shape !== "points") return true;
  return points?.length >= MIN_POINTS && (task === "regression" || points.some(([, , target]) => target > 0));
}

function encode(name, value) {
  if (value === null) return "none";
  if (name === "points") return value.map((point) => point.join(":")).join(";");
  return Array.isArray(value) ? value.join(",") : String(value);
}

function decode(name, text) {
  const fallback = { ...SETTINGS, ...VIEW }[name];
  if (name === "points") return text === "none" ? null : text.split(";").map((point) => point.split(":").map(Number));
  if (name === "second_layers" && text === "none") return null;
  if (NUMBER_LISTS.includes(name)) return text === "" ? [] : text.split(",").map(Number);
  if (TEXT_LISTS.includes(name)) return text === "" ? [] : text.split(",");
  if (name === "speed" || OPTIONAL_NUMBERS.includes(name)) return text === "none" ? null : Number(text);
  if (OPTIONAL_TEXTS.includes(name)) return text === "none" ? null : text;
  if (typeof fallback === "number") return Number(text);
  if (typeof fallback === "boolean") return { true: true, false: false }[text];
  return text;
}

/**
 * @param {object} state
 * @returns {string} the part of the address after #: all that differs from the defaults, and always shape and seed
 */
export function writeAddress(state) {
  const defaults = defaultState();
  const parts = [];
  for (const name of Object.keys(defaults)) {
    if (name === "points" && state.shape !== "points") continue;
    const text = encode(name, state[name]);
    if (["shape", "seed"].includes(name) || text !== encode(name, defaults[name])) {
      parts.push(`${name}=${encodeURIComponent(text).replace(/%2C|%3A|%3B/g, decodeURIComponent)}`);
    }
  }
  return parts.join("&");
}

/** @returns {string | null} what a value must be, or null if it is right as far as the page knows */
function findFault(name, value) {
  if (value === null || name === "hide") return null;
  if (name === "story") return STORY_STEPS.includes(value) ? null : `must be a story and a step: ${STORY_STEPS[0]}`;
  if (CHOICES[name]) {
    const isRight = [value].flat().every((one) => CHOICES[name].includes(one)) && value.length !== 0;
    return isRight ? null : `must be ${name === "features" ? "chosen from" : "one of"} ${CHOICES[name].join(", ")}`;
  }
  if (NUMBER_LISTS.includes(name)) {
    const isRight = value.every((width) => Number.isInteger(width) && width >= 1 && width <= MAX_NEURONS);
    return isRight && value.length <= MAX_LAYERS ? null
      : `must be at most ${MAX_LAYERS} whole numbers from 1 to ${MAX_NEURONS}, such as 4,2`;
  }
  if (name === "points") {
    return value.every((point) => point.length === 3 && point.every(Number.isFinite)) ? null : "must be x:y:class;…";
  }
  if (!Number.isFinite(value)) return "must be a number";
  return name === "speed" && value <= 0 ? "must be above 0, or none" : null;
}

/**
 * @param {string} address the part after #
 * @returns {{state: object, faults: string[]} | null} the state, with the default for what is wrong, and a line for
 *   each fault; null if the address is empty
 */
export function readAddress(address) {
  const parts = [...new URLSearchParams(address.replace(/^#/, ""))];
  const state = defaultState();
  const faults = [];
  for (const [name, text] of parts) {
    const isKnown = Object.hasOwn(state, name);
    const value = isKnown ? decode(name, text) : undefined;
    const fault = isKnown ? findFault(name, value) : "is not a setting of the page; the link is used without it";
    if (fault === null) state[name] = value;
    else faults.push(`${name}=${text} ${fault}${isKnown ? "; the default is used" : ""}.`);
  }
  return parts.length ? { state, faults } : null;
}

/** How each kind of text is shown beside a slider. */
const FORMATS = {
  noise: (value) => `${Math.round(value * 100)} %`,
  train_share: (value) => `${Math.round(value * 100)} %`,
  dropout: (value) => `${Math.round(value * 100)} %`,
};

const show = (input, state) => {
  const value = state[input.name];
  if (input.type === "checkbox") input.checked = value;
  else if (input.type === "radio") input.checked = String(value) === input.value;
  else {
    const text = value === null ? (input.tagName === "SELECT" ? "none" : "") : String(value);
    if (input.tagName === "SELECT" && ![...input.options].some((option) => option.value === text)) {
      input.add(new Option(text, text)); // a value from a link or a config that the list does not have
    }
    input.value = text;
  }
  const output = input.closest("label, .field")?.querySelector("output");
  if (output) output.value = (FORMATS[input.name] ?? String)(value);
};

const read = (input) => {
  if (input.type === "checkbox") return input.checked;
  if (input.type === "number" && input.value === "") return null;
  return decode(input.name, input.value);
};

/**
 * Connects every control that has `data-setting` with the state. Its name is the name of the setting.
 *
 * @param {object} state
 * @param {(name: string, value: any) => void} change called when the visitor has chosen a value
 * @returns {() => void} shows the state in the controls
 */
export function bindControls(state, change) {
  const inputs = [...document.querySelectorAll("[data-setting]")];
  for (const input of inputs) {
    input.addEventListener("change", () => {
      const value = read(input);
      const isEmpty = value === null && SETTINGS[input.name] !== null && input.name !== "speed";
      if (!input.checkValidity() || isEmpty) input.reportValidity();
      else change(input.name, value);
    });
    if (input.type === "range") {
      const output = input.closest("label, .field").querySelector("output");
      input.addEventListener("input", () => { output.value = (FORMATS[input.name] ?? String)(Number(input.value)); });
    }
  }
  return () => inputs.forEach((input) => show(input, state));
}

const isRegression = (shape) => shape === "plane" || shape === "bumps";

/**
 * Makes the other settings agree with a change, as far as the choice leaves no doubt.
 *
 * @param {object} state with the change
 * @param {string[]} names of the settings that the visitor has changed
 */
export function settle(state, names) {
  if (names.includes("shape")) {
    if (isRegression(state.shape) && state.num_samples === 500) state.num_samples = 1200;
    if (!isRegression(state.shape) && state.num_samples === 1200) state.num_samples = 500;
  }
  if (!["spiral", "gauss"].includes(state.shape)) state.num_classes = 2;
  state.batch_size = Math.max(1, Math.min(state.batch_size, Math.floor(state.num_samples * state.train_share)));
  if (state.rule === "original") {
    Object.assign(state, { num_classes: 2, kind: "plain", second_kind: "plain", optimizer: "sgd", dropout: 0 });
  } else if (state.regularization === "l1") state.regularization = "none";
  if (names.includes("regularization") && state.regularization !== "none" && state.regularization_rate === 0) {
    state.regularization_rate = 0.001;
  }
  for (const [kind, layers] of [["kind", "layers"], ["second_kind", "second_layers"]]) {
    if (state[kind] === "residual" && state[layers]) {
      state[layers] = (state[layers].length ? state[layers] : [4]).map((_, i, all) => all[0]);
    }
  }
}

const RULES = {
  package: "Trains this package's PyTorch modules with cross entropy, or mean squared error for regression.",
  original: "Trains as TensorFlow Playground does: one tanh output, squared error, and plain SGD. "
    + "train.py does not have this rule, so \"Take it away\" is off.",
};

const USES_NETWORKS = "#play, #step, #step-batch, #reset, #tensorboard, .loss-surface";

/** Disables the controls that the rule or the data set does not have. @param {object} state */
export function limitControls(state) {
  const byId = (id) => document.getElementById(id);
  const isOriginal = state.rule === "original";
  const isWaiting = !isEnough(state); // the networks of the server belong to other data: they are not shown or used
  document.body.classList.toggle("waiting", isWaiting);
  document.querySelectorAll(USES_NETWORKS).forEach((button) => { button.disabled = isWaiting; });
  byId("take-away").disabled = isOriginal || isWaiting;
  byId("take-away").title = isOriginal ? "train.py has no rule Original" : "Get a config for train.py";
  byId("rule-text").textContent = RULES[state.rule];
  byId("optimizer").disabled = isOriginal;
  byId("dropout").disabled = isOriginal;
  byId("regularization").querySelector("[value=l1]").disabled = !isOriginal;
  byId("regularization_rate").disabled = state.regularization === "none";
  byId("num_classes").disabled = isOriginal || !["spiral", "gauss"].includes(state.shape);
  byId("regenerate").disabled = state.shape === "points";
  for (const name of ["noise", "num_samples"]) byId(name).disabled = state.shape === "points";
  for (const radio of document.querySelectorAll("[value=residual]")) radio.disabled = isOriginal;
  for (const part of document.querySelectorAll("[data-group]")) part.hidden = state.hide.includes(part.dataset.group);
}
