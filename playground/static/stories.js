/** Guided stories: settings to start from, a text that says what to look for, and which controls are hidden. */

const RARE = ["rule", "stop", "csv", "num_classes", "dropout", "regularization", "regularization_rate", "surface"];
const DEEP = [...RARE, "noise", "train_share", "batch_size", "num_samples", "features"];
const spiral = { shape: "spiral", optimizer: "adamw", lr: 0.01, activation: "relu", speed: 25 };
const few = { ...spiral, shape: "xor", num_samples: 100, noise: 0.3, layers: [16, 16, 16], show_test: true };
const deepCircle = { shape: "circle", optimizer: "momentum", lr: 0.03, speed: 5 };
const wide = (width, depth) => Array(depth).fill(width);

/** The story that a visitor sees first. */
export const FIRST_STORY = "shallow-deep";

export const STORIES = [
  {
    id: "shallow-deep",
    title: "Shallow and deep on the spiral",
    hide: DEEP,
    steps: [
      {
        text: "One hidden layer above, three below, on the same points. Press play: "
          + "only the deep network follows the spiral.",
        settings: { ...spiral, layers: [8], second_layers: [8, 8, 8] },
      },
      {
        text: "Is it depth, or only size? Now the shallow network has as many neurons as the deep one. "
          + "Watch which of them follows both arms first.",
        settings: { ...spiral, layers: [16], second_layers: [8, 8] },
      },
    ],
  },
  {
    id: "hidden-layer",
    title: "Why a hidden layer?",
    hide: [...DEEP, "second", "gradients"],
    steps: [
      {
        text: "Without a hidden layer, the boundary is a straight line. Press play: no line separates the "
          + "ring from the disc.",
        settings: { shape: "circle", layers: [], lr: 0.03 },
      },
      {
        text: "Each of four hidden neurons draws one line, and the output combines them to a closed boundary. "
          + "Point at a neuron to see its line in the large picture.",
        settings: { shape: "circle", layers: [4], lr: 0.03 },
      },
      {
        text: "A good feature can replace the hidden layer: with x² and y² as inputs, no bend is "
          + "needed. A straight line in x² and y² is a circle in the picture.",
        settings: { shape: "circle", layers: [], features: ["x2", "y2"], lr: 0.03 },
      },
    ],
  },
  {
    id: "vanishing",
    title: "Vanishing gradients",
    hide: [...DEEP, "second"],
    steps: [
      {
        text: "Two networks of 20 hidden layers with sigmoid. The bars of the plain one shrink towards the first "
          + "layer, which gets no gradient: the network does not learn. In the residual one, each block starts with "
          + "scale 0, so only the first and the last bar stand at first. Press play: the others rise in the first "
          + "epoch, and the network solves the circle in about 20 epochs.",
        settings: {
          ...deepCircle, activation: "sigmoid",
          layers: wide(6, 20), second_layers: wide(6, 20), second_kind: "residual",
        },
      },
      {
        text: "The same with ReLU. At first, the bars of the plain network are level. Press play: all of them fall "
          + "to the floor in the first epoch. A layer now outputs 0 for every point, so no gradient passes: the "
          + "network is dead and never recovers. The residual network solves the circle in about 10 epochs.",
        settings: {
          ...deepCircle, activation: "relu",
          layers: wide(6, 20), second_layers: wide(6, 20), second_kind: "residual",
        },
      },
    ],
  },
  {
    id: "overfitting",
    title: "Overfitting, and two remedies",
    hide: ["rule", "stop", "csv", "num_classes", "features", "gradients", "surface", "second"],
    steps: [
      {
        text: "A large network on 50 noisy points. At first both losses fall. From about epoch 50 on, the test loss "
          + "rises while the training loss keeps falling: the network memorises the noise.",
        settings: few,
      },
      {
        text: "Weight decay (L2) pulls the weights towards 0. The boundary becomes smoother, and the two "
          + "curves stay closer.",
        settings: { ...few, regularization: "l2", regularization_rate: 1 },
      },
      {
        text: "Dropout sets random neurons to 0 in each step, so that no neuron can rely on a single other one. The "
          + "test loss stays low. The training loss is higher, because it is measured with neurons left out.",
        settings: { ...few, dropout: 0.2 },
      },
    ],
  },
  {
    id: "learning-rate",
    title: "Learning rate: too low, too high",
    hide: [...DEEP, "second", "gradients", "optimizer"],
    steps: [
      {
        text: "The learning rate is 0.0001. Every step is right but tiny, and the loss hardly moves.",
        settings: { shape: "xor", layers: [4, 2], lr: 0.0001 },
      },
      {
        text: "With 10, every step overshoots: the loss jumps and stays high.",
        settings: { shape: "xor", layers: [4, 2], lr: 10 },
      },
      {
        text: "0.1 is about right: the loss falls close to 0 within 50 epochs. Change the learning rate while it "
          + "trains, and press reset to start again.",
        settings: { shape: "xor", layers: [4, 2], lr: 0.1 },
      },
    ],
  },
];

/**
 * @param {(settings: object) => void} apply called with all that a step sets: the rest takes its default
 * @returns {{show: (name: string | null) => void, start: (id: string, step?: number) => void}}
 *   show: the text of a step by its name in the address, such as `vanishing.1`
 */
export function createStories(apply) {
  const byId = (id) => document.getElementById(id);
  const choice = byId("story-select");
  STORIES.forEach(({ id, title }) => choice.add(new Option(title, id)));
  let story = null;
  let index = 0;

  const start = (id, step = 0) => {
    const found = STORIES.find((candidate) => candidate.id === id);
    apply({ ...found.steps[step].settings, hide: found.hide, story: `${id}.${step + 1}` });
  };

  const show = (name) => {
    const [id, step] = (name ?? "").split(".");
    story = STORIES.find((candidate) => candidate.id === id) ?? null;
    byId("story").hidden = story === null;
    choice.value = story ? id : "";
    if (!story) return;
    index = Math.max(0, Math.min(story.steps.length, Number(step) || 1) - 1);
    byId("story-title").textContent = story.title;
    byId("story-text").textContent = story.steps[index].text;
    byId("story-previous").hidden = index === 0;
    byId("story-next").hidden = index === story.steps.length - 1;
  };

  choice.addEventListener("change", () => (choice.value ? start(choice.value) : apply(null)));
  byId("story-previous").addEventListener("click", () => start(story.id, index - 1));
  byId("story-next").addEventListener("click", () => start(story.id, index + 1));
  byId("story-leave").addEventListener("click", () => apply(null));
  return { show, start };
}
