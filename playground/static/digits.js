/** Second tab: a trained network reads a drawn digit, and shows what it computed. */

import { byteTable, isDark, onThemeChange, themeColour } from "./colours.js";
import { element, formatNumber } from "./elements.js";

const SIDE = 280; // pixels of a drawing
const PEN = 22; // width of a stroke; scaled to 28x28 pixels, it is as wide as in MNIST
const SEND_INTERVAL = 100; // milliseconds between two drawings that are sent
const MAX_WAIT = 3000; // milliseconds after which an answer is given up
const KEY_STEP = 10; // pixels per arrow key
const MOST_COLUMNS = 28; // squares in a row
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const SMOOTHING = "These are probabilities. LeNet was trained with label smoothing: its target for the right digit was "
  + "91 %, and 1 % for each other digit. So it gives about 92 % even to a perfect digit.";

/** Strokes of one example, as points in the drawing. */
const EXAMPLE = [[
  [88, 92], [98, 72], [118, 60], [142, 56], [166, 62], [182, 78], [186, 98], [178, 118], [162, 136], [142, 156],
  [120, 178], [100, 200], [86, 218], [110, 216], [140, 216], [170, 216], [198, 214],
]];

/**
 * Builds the tab inside an element.
 *
 * @param {HTMLElement} root
 * @param {(message: object) => void} send
 * @returns {{show: (message: object) => void}} show takes the messages `checkpoints` and `digit`
 */
export function createDigitsTab(root, send) {
  const chooser = element("select");
  const drawing = new Drawing(sendSoon);
  const clear = element("button", { type: "button", textContent: "Clear" });
  const example = element("button", { type: "button", textContent: "Example" });
  const result = new Result();
  const stages = element("section", { className: "digit-stages", "aria-label": "Outputs of the stages" });
  let shownStages = [];
  let last = null;
  let isChanged = false;
  let isWaiting = false;
  let timer = 0;

  root.append(
    element("div", { className: "digit-tab" },
      element("section", { className: "card digit-input", "aria-label": "Drawing" },
        element("label", { className: "field" }, "Network", chooser),
        drawing.canvas,
        element("div", { className: "row" }, clear, example),
        element("p", { className: "caption", textContent:
          "Draw with the mouse, a finger or a pen. With the keyboard: focus the square, move with the arrow keys, "
          + "and press Space to lower or lift the pen." })),
      result.root,
      stages));

  clear.addEventListener("click", () => drawing.replace([]));
  example.addEventListener("click", () => drawing.replace(structuredClone(EXAMPLE)));
  chooser.addEventListener("change", () => {
    send({ type: "checkpoints", load: chooser.value });
    sendSoon();
  });
  onThemeChange(() => {
    drawing.draw();
    if (last) showDigit(last);
  });

  function sendSoon() {
    isChanged = true;
    if (!timer && !isWaiting) timer = setTimeout(sendNow, SEND_INTERVAL);
  }

  function sendNow() {
    isChanged = false;
    isWaiting = true;
    send(drawing.ink());
    timer = setTimeout(proceed, MAX_WAIT); // an error has no answer
  }

  function proceed() {
    clearTimeout(timer);
    timer = 0;
    isWaiting = false;
    if (isChanged) sendSoon();
  }

  function showCheckpoints({ names, loaded }) {
    const selected = loaded ?? chooser.value;
    const isLost = loaded === null && selected && selected !== names[0];
    if (isLost) send({ type: "checkpoints", load: selected }); // a new connection reads with the first network
    chooser.replaceChildren(...names.map((name) => new Option(name, name, false, name === selected)));
  }

  function showDigit(message) {
    last = message;
    result.show(message);
    if (message.stages.length === 0) {
      shownStages = [];
      stages.replaceChildren();
      return;
    }
    const isSame = shownStages.length === message.stages.length
      && shownStages.every((stage, index) => stage.fits(message.stages[index]));
    if (!isSame) {
      shownStages = message.stages.map((stage, index) => new Stage(stage, index, index === message.stages.length - 1));
      stages.replaceChildren(
        element("h2", { textContent: "Inside the network, from the input to the answer" }),
        element("p", { className: "caption", textContent:
          "Every output is drawn: grey is 0, blue is positive and orange is negative. Each stage has its own scale." }),
        ...shownStages.map((stage) => stage.root));
    }
    const table = byteTable();
    shownStages.forEach((stage, index) => stage.draw(message.stages[index], table));
  }

  return {
    show(message) {
      if (message.type === "checkpoints") showCheckpoints(message);
      else if (message.type === "digit") {
        showDigit(message);
        proceed();
      }
    },
  };
}

/** The square to draw in. Ink is the opacity of the canvas, so it has the theme's colour on the screen. */
class Drawing {
  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.strokes = [];
    this.cursor = [SIDE / 2, SIDE / 2];
    this.isPenDown = false; // of the keyboard
    this.canvas = element("canvas", {
      className: "digit-canvas", width: SIDE, height: SIDE, tabIndex: 0, role: "application",
      "aria-label": "Square to draw a digit in. Arrow keys move the pen, Space lowers and lifts it.",
    });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.ring = null;
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.extend(event));
    this.canvas.addEventListener("keydown", (event) => this.press(event));
    this.canvas.addEventListener("blur", () => { this.isPenDown = false; });
  }

  place({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    return [((clientX - box.left) / box.width) * SIDE, ((clientY - box.top) / box.height) * SIDE];
  }

  begin(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.strokes.push([this.place(event)]);
    this.changed();
  }

  extend(event) {
    if (!this.canvas.hasPointerCapture(event.pointerId)) return;
    this.strokes.at(-1).push(this.place(event));
    this.changed();
  }

  press(event) {
    const direction = ARROWS[event.key];
    if (!direction && event.key !== " ") return;
    event.preventDefault(); // the page would scroll, or play
    event.stopPropagation();
    if (event.key === " ") {
      this.isPenDown = !this.isPenDown;
      if (this.isPenDown) this.strokes.push([this.cursor]);
    } else {
      this.cursor = this.cursor.map((value, axis) => Math.min(SIDE, Math.max(0, value + KEY_STEP * direction[axis])));
      if (this.isPenDown) this.strokes.at(-1).push(this.cursor);
    }
    this.changed();
    this.drawCursor();
  }

  replace(strokes) {
    this.strokes = strokes;
    this.isPenDown = false;
    this.changed();
  }

  changed() {
    this.draw();
    this.onChange();
  }

  draw() {
    const { context } = this;
    context.clearRect(0, 0, SIDE, SIDE);
    context.strokeStyle = themeColour("--ink") || (isDark() ? "white" : "black");
    context.lineWidth = PEN;
    context.lineCap = "round";
    context.lineJoin = "round";
    for (const stroke of this.strokes) {
      context.beginPath();
      context.moveTo(...stroke[0]);
      for (let i = 1; i < stroke.length; i += 1) { // a curve to the middle of every segment is smooth
        const [[x, y], [nextX, nextY]] = [stroke[i - 1], stroke[i]];
        context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
      }
      context.lineTo(...stroke.at(-1));
      context.stroke();
    }
    this.bytes = context.getImageData(0, 0, SIDE, SIDE).data;
  }

  /** The pen of the keyboard. It is drawn after the ink was read. */
  drawCursor() {
    const { context } = this;
    context.lineWidth = 2;
    context.strokeStyle = themeColour("--focus") || "#1a73c9";
    context.beginPath();
    context.arc(...this.cursor, PEN / 2 + 1, 0, 2 * Math.PI);
    context.stroke();
  }

  /** @returns {Uint8Array} 280*280 bytes, 0 for paper and 255 for ink */
  ink() {
    if (!this.bytes) this.draw();
    const ink = new Uint8Array(SIDE * SIDE);
    for (let i = 0; i < ink.length; i += 1) ink[i] = this.bytes[4 * i + 3];
    return ink;
  }
}

/** The ten probabilities, the image that the network receives, and its input gradient. */
class Result {
  constructor() {
    this.rows = Array.from({ length: 10 }, (_, digit) => {
      const fill = element("span", { className: "digit-bar-fill" });
      const share = element("span", { className: "digit-share" });
      const bar = element("span", { className: "digit-bar" }, fill);
      return { fill, share, row: element("li", {}, element("b", { textContent: digit }), bar, share) };
    });
    this.prediction = element("p", { className: "digit-prediction", role: "status" });
    this.image = smallCanvas(28, 28, "The drawing, centred and scaled to 28x28 pixels");
    this.gradients = smallCanvas(28, 28, "The input gradient of the predicted class");
    const figures = [
      [this.image, "What the network sees",
        "The drawing in 28×28 pixels, centred and scaled like the images of MNIST."],
      [this.gradients, "Which pixels mattered",
        "More ink on a blue pixel raises the score of the predicted digit, on an orange pixel it lowers it: "
        + "the gradient of the score with respect to the input."],
    ];
    this.root = element("section", { className: "card digit-result", "aria-label": "Answer" },
      this.prediction,
      element("div", { className: "digit-answer" },
        element("ul", { className: "digit-bars", "aria-label": "Probability of each digit" },
          ...this.rows.map(({ row }) => row)),
        element("p", { className: "caption", textContent: SMOOTHING })),
      element("div", { className: "digit-figures" }, ...figures.map(([canvas, title, caption]) =>
        element("figure", {}, element("h3", { textContent: title }), canvas,
          element("p", { className: "caption", textContent: caption })))));
    this.show(null);
  }

  /** @param {object | null} message `digit` */
  show(message) {
    const probabilities = message?.probabilities ?? Array(10).fill(0);
    const largest = Math.max(...probabilities);
    const digit = probabilities.indexOf(largest);
    this.rows.forEach(({ fill, share, row }, index) => {
      fill.style.width = `${100 * probabilities[index]}%`;
      share.textContent = largest ? `${(100 * probabilities[index]).toFixed(1)} %` : "";
      row.classList.toggle("is-largest", largest > 0 && index === digit);
    });
    const text = largest ? `This is a ${digit}: ${(100 * largest).toFixed(1)} %` : "Draw a digit from 0 to 9.";
    if (this.prediction.textContent !== text) this.prediction.textContent = text;
    const blank = new Uint8Array(784);
    paint(this.image, message ? message.image : blank, inkTable());
    paint(this.gradients, message ? message.gradients : blank.fill(128), byteTable());
  }
}

/** The outputs of one stage as small pictures. */
class Stage {
  /** @param {object} stage of a `digit` message @param {number} index @param {boolean} isLast */
  constructor(stage, index, isLast) {
    this.key = keyOf(stage);
    const [count, height, width] = stage.maps.shape;
    const isVector = height === 1 && width === 1;
    this.columns = isVector ? columnsOf(count) : width;
    const rows = isVector ? Math.ceil(count / this.columns) : height;
    const pictures = isVector ? 1 : count;
    this.canvases = Array.from({ length: pictures }, (_, index) =>
      smallCanvas(this.columns, rows, pictures > 1 ? `${stage.name}, map ${index + 1}` : `Outputs of ${stage.name}`));
    this.scale = element("span");
    const isWide = !isVector && count === 1 && stage.channels === 1;
    this.root = element("section", { className: "card digit-stage" },
      element("header", {},
        element("h3", { textContent: isLast ? "Output layer" : `Stage ${index + 1}` }),
        element("span", { className: "caption" }, `${stage.layers.join(", ")} (${stage.name} in the code)`),
        element("span", { className: "caption digit-shape" }, shapeText(stage, isWide), " · ", this.scale)),
      element("p", { className: "caption", textContent: captionOf(stage, isLast) }),
      element("div", { className: `digit-maps ${isVector ? "is-vector" : isWide ? "is-wide" : ""}` },
        ...this.canvases));
    if (isVector) {
      this.canvases[0].style.width = `${this.columns * 14}px`;
      if (isLast && count === 10) this.canvases[0].after(digitLabels());
    }
  }

  fits(stage) {
    return this.key === keyOf(stage);
  }

  draw(stage, table) {
    const bytes = stage.maps;
    const size = bytes.length / this.canvases.length;
    this.canvases.forEach((canvas, index) => paint(canvas, bytes.subarray(index * size, (index + 1) * size), table));
    const range = formatNumber(stage.range, 1);
    this.scale.textContent = `colours from ${stage.is_signed ? `−${range}` : 0} to ${range}`;
  }
}

const keyOf = (stage) => `${stage.name} ${stage.layers} ${stage.maps.shape} ${stage.channels}`;

/** Columns of a grid of squares: at most 28, in rows of equal length if possible. */
const columnsOf = (count) => (count <= MOST_COLUMNS ? count : Math.ceil(count / Math.ceil(count / MOST_COLUMNS)));

function shapeText(stage, isWide) {
  const [count, height, width] = stage.maps.shape;
  if (isWide) return `${height} × ${width}`;
  if (height === 1 && width === 1) return `${count} ${count === 1 ? "number" : "numbers"}`;
  const shown = stage.channels > count ? `${count} of ${stage.channels}` : count;
  return `${shown} maps of ${height}×${width}`;
}

function captionOf(stage, isLast) {
  const [count, height, width] = stage.maps.shape;
  const has = (name) => stage.layers.some((layer) => layer.includes(name));
  if (isLast) return "One score per digit, called a logit. Softmax turns the scores into the probabilities above.";
  if (has("Unfold")) return "The image cut into patches. Each row is a patch, each column one of its pixels.";
  if (height === 1 && width === 1) return "One square per unit. Every unit combines all outputs of the stage before.";
  if (count === 1 && stage.channels === 1) return "Each row is a unit, each column a step of the sequence.";
  return "Each picture is a feature map. Strong colours show where the network found one learned pattern.";
}

function digitLabels() {
  return element("div", { className: "digit-labels", "aria-hidden": "true" },
    ...Array.from({ length: 10 }, (_, digit) => element("span", { textContent: digit })));
}

const smallCanvas = (width, height, label) =>
  element("canvas", { className: "crisp", width, height, role: "img", "aria-label": label });

/** @param {HTMLCanvasElement} canvas @param {Uint8Array} bytes @param {Uint32Array} table 256 colours */
function paint(canvas, bytes, table) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < bytes.length; i += 1) pixels[i] = table[bytes[i]];
  context.putImageData(image, 0, 0);
}

/** @returns {Uint32Array} 256 shades of light on dark, as the images of MNIST are */
const inkTable = () => Uint32Array.from({ length: 256 }, (_, byte) => (255 << 24) | (byte * 0x010101));
