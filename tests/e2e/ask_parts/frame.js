/** The page around the two modules in their tests: pictures, and an API that can be slow or fail. */
import { openCorrection } from "/ask/correct/dialog.js";
import { showUndo } from "/ask/correct/notice.js";
import { Answers } from "/ask/history/answers.js";
import { AnswerList } from "/ask/history/list.js";
import { loadLanguage } from "/ask/i18n.js";

const LABELS = [
  ["lemon", "n07749582", [], "yellow oval fruit with juicy acidic flesh"],
  ["orange", "n07747607", [], "round yellow to orange fruit of any of several citrus trees"],
  ["banana", "n07753592", [], "elongated crescent-shaped yellow fruit with soft sweet flesh"],
  ["tabby cat", "n02123045", ["tabby"], "a cat with a grey or tawny coat mottled with black"],
  ["tiger cat", "n02123159", ["striped cat", "tabby"], "a cat having a striped coat"],
  ["Egyptian cat", "n02124075", ["Egyptian Mau"], "a domestic cat of Egypt"],
  [
    "espresso",
    "n07920052",
    [],
    "strong black coffee brewed by forcing hot water under pressure through finely ground coffee beans",
  ],
  ["coffee mug", "n03063599", [], "a mug intended for serving coffee"],
  [
    "serving pitcher",
    "n03950228",
    ["pitcher", "ewer", "jug"],
    "an open vessel with a handle and a spout for pouring",
  ],
  [
    "bee",
    "n02206856",
    ["honeybee", "bumblebee"],
    "any of numerous hairy-bodied insects including social and solitary species",
  ],
].map(([label, wnid, synonyms, definition], index) => ({
  label,
  wnid,
  index,
  synonyms,
  definition,
}));

const MAX_LABEL_CHARACTERS = 30;

const ANSWERS = {
  citrus: ["An orange (71 %), or a lemon.", "orange", ["orange", "lemon", "banana", "bee"]],
  cat: [
    "A tabby cat (82 %).",
    "tabby cat",
    ["tabby cat", "tiger cat", "Egyptian cat", "coffee mug"],
  ],
  coffee: ["An espresso (93 %).", "espresso", ["espresso", "coffee mug", "serving pitcher"]],
  bee: ["A bee (97 %).", "bee", ["bee", "banana", "lemon"]],
  unknown: [
    "I do not recognise this. What comes closest is a serving pitcher.",
    "serving pitcher",
    ["serving pitcher", "coffee mug"],
  ],
};

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const problem = (status, detail) =>
  Object.assign(new Error(detail), { status, code: "trouble", detail });
const wnidOf = (name) => LABELS.find(({ label }) => label === name)?.wnid ?? null;

/** Does what the service does, in memory; `delays` and `failures` are used up call by call. */
class MemoryApi {
  calls = [];
  kept = new Map();
  delays = {};
  failures = {};
  running = 0;
  mostRunning = 0;

  async labels(query, { limit }) {
    await this.#call("labels", { query });
    const has = (text) => text.toLowerCase().includes(query.toLowerCase());
    const labels = LABELS.filter(({ label, synonyms }) => [label, ...synonyms].some(has));
    return labels.slice(0, limit);
  }

  async sendFeedback({ picture, ...facts }) {
    await this.#call("sendFeedback", { ...facts, picture: picture?.size ?? null });
    const id = `feedback-${this.kept.size + 1}`;
    const at = new Date().toISOString();
    const isKept = Boolean(picture) && !this.keepsNoPictures;
    this.kept.set(id, { ...facts, id, picture_kept: isKept });
    return { label: null, wnid: null, ...facts, id, at, picture_kept: isKept };
  }

  async undoFeedback(id) {
    await this.#call("undoFeedback", { id });
    if (!this.kept.delete(id)) throw problem(404, "There is no such correction.");
  }

  async #call(name, facts) {
    this.calls.push({ name, ...facts });
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    try {
      await wait(this.delays[name]?.shift() ?? this.delays.every ?? 0);
      const failure = this.failures[name]?.shift();
      if (failure)
        throw failure.status
          ? problem(failure.status, failure.detail)
          : new TypeError("Failed to fetch");
    } finally {
      this.running -= 1;
    }
  }
}

async function itemOf(name, { at = Date.now(), sha256, correction } = {}) {
  const [text, label, top] = ANSWERS[name];
  const response = await fetch(`/pictures/${name === "unknown" ? "coffee" : name}.jpg`);
  const blob = await response.blob();
  const bytes = new TextEncoder().encode(name);
  const digest = [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))];
  const own = digest.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const recognised = name !== "unknown";
  const reply = {
    answer: {
      ...{ text, label, wnid: wnidOf(label), score: 0.8, certainty: "sure", recognised },
      ...{ level: "class", path: [label], set: [] },
    },
    top: top.map((one, index) => ({
      label: one,
      wnid: wnidOf(one),
      index,
      score: 0.8 / 2 ** index,
    })),
    image: { width: 600, height: 400, format: "JPEG", sha256: sha256 ?? own },
  };
  if (correction) reply.correction = correction;
  const thumbnail = URL.createObjectURL(blob);
  return {
    id: own,
    name: `${name}.jpg`,
    blob,
    thumbnail,
    sha256: sha256 ?? own,
    state: "done",
    reply,
    at,
  };
}

const parameters = new URLSearchParams(location.search);
await loadLanguage(parameters.get("language") ?? "en");
document.documentElement.lang = parameters.get("language") ?? "en";
let root = document.querySelector("#root");
if (parameters.has("shadow")) {
  const styles = document.querySelectorAll("link[href*='css/correct'], link[href*='css/history']");
  const inside = document.createElement("div");
  root.attachShadow({ mode: "open" }).append(...styles, inside);
  inside.append(document.querySelector("#open"));
  root = inside;
}

const api = new MemoryApi();
const frame = {
  api,
  itemOf,
  showUndo,
  items: [],
  result: undefined,
  undone: [],
  opened: [],
  keys: [],
};
frame.anchor = root.querySelector("#open") ?? document.querySelector("#open");
frame.setItems = async (names, changes = {}) => {
  frame.items = await Promise.all(names.map((name) => itemOf(name, changes)));
};
frame.anchor.addEventListener("click", async () => {
  frame.result = undefined;
  const { api: service, items, anchor } = frame;
  frame.result = await openCorrection({
    api: service,
    items,
    anchor,
    maxLabelCharacters: MAX_LABEL_CHARACTERS,
    onUndone: (all) => frame.undone.push(...all),
  });
});
document.addEventListener("keydown", ({ key }) => frame.keys.push(key));
if (!parameters.has("bare")) {
  frame.history = new Answers();
  const onOpen = (entry) => frame.opened.push(entry);
  frame.list = new AnswerList({ root, onOpen, answers: frame.history });
  await frame.history.ready;
}
window.parts = frame;
document.documentElement.dataset.ready = "";
