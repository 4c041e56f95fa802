import assert from "node:assert/strict";
import { before, test } from "node:test";
import { describe } from "../../src/whatsit/web/ui/assets/ask/gallery/entry.js";
import {
  applyFilter,
  countFacets,
  emptyFilter,
  formatFilter,
  isActive,
  parseFilter,
  toggled,
} from "../../src/whatsit/web/ui/assets/ask/gallery/filter.js";
import { answered, refused, speak, waiting } from "./support.js";

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const corrected = (verdict, label = null) => ({ correction: { verdict, label, wnid: null } });

before(() => speak("en"));

function shown(items, filter) {
  const entries = items.map((item, place) => describe(item, place));
  return applyFilter(entries, { ...emptyFilter(), ...filter }, collator).map(({ order }) => order);
}

const animals = [
  answered(0),
  answered(1, "wren", { path: ["animal", "bird"] }),
  answered(2, "emu", { path: ["animal", "bird"] }),
  refused(3, { folder: "2026/Südtirol" }),
  answered(4, "beagle", corrected("other", "lynx")),
];
for (const [text, places] of [
  ["wren", [1]],
  ["BIRD", [1, 2]],
  ["bird emu", [2]],
  ["img_3", [3]],
  ["sudtirol", [3]],
  ["lynx", [4]],
  ["no such thing", []],
]) {
  test(`a text is searched in labels, groups, names and folders: ${text}`, () => {
    assert.deepEqual(shown(animals, { text }), places);
  });
}

const mixed = [
  answered(0, "owl", { score: 0.9, name: "picture 10.jpg" }),
  answered(1, "bee", { score: 0.3, name: "picture 9.jpg" }),
  answered(2, "cat", { score: 0.5, name: "Album.jpg" }),
  refused(3, { name: "zebra.jpg" }),
];
for (const [sort, places] of Object.entries({
  arrival: [0, 1, 2, 3],
  name: [2, 1, 0, 3],
  label: [1, 2, 0, 3],
  score: [0, 2, 1, 3],
  "score-low": [1, 2, 0, 3],
})) {
  test(`pictures are sorted by ${sort}, those without at the end`, () => {
    assert.deepEqual(shown(mixed, { sort }), places);
  });
}

const everything = [
  answered(0, "wren"),
  answered(1, "emu", { certainty: "probably" }),
  answered(2, "dog", { level: "group" }),
  answered(3, "wren", { certainty: "unsure" }),
  answered(4, "owl", { recognised: false, certainty: "unsure" }),
  refused(5),
  answered(6, "wren", corrected("other", "kiwi")),
  answered(7, "emu", corrected("right")),
  waiting(8),
  waiting(9, { state: "asking" }),
];
for (const [facet, value, places] of [
  ["label", "wren", [0, 3]],
  ["label", "kiwi", [6]],
  ["certainty", "sure", [0, 2, 6, 7]],
  ["certainty", "unrecognised", [4]],
  ["level", "group", [2]],
  ["state", "corrected", [6]],
  ["state", "confirmed", [7]],
  ["state", "refused", [5]],
  ["state", "waiting", [8, 9]],
]) {
  test(`a filter lets through: ${facet} ${value}`, () => {
    assert.deepEqual(shown(everything, { [facet]: [value] }), places);
  });
}

test("values of a facet add up, facets narrow down", () => {
  assert.deepEqual(shown(everything, { label: ["wren", "emu"] }), [0, 1, 3, 7]);
  assert.deepEqual(shown(everything, { label: ["wren", "emu"], certainty: ["sure"] }), [0, 7]);
});

test("a facet is counted as if it alone were free", () => {
  const entries = everything.map((item, place) => describe(item, place));
  const counts = countFacets(entries, { ...emptyFilter(), label: ["wren"], certainty: ["sure"] });

  assert.deepEqual(Object.fromEntries(counts.certainty), { sure: 1, unsure: 1 });
  assert.deepEqual(Object.fromEntries(counts.label), { wren: 1, dog: 1, kiwi: 1, emu: 1 });
});

test("a filter survives its link", () => {
  const filter = {
    ...{ text: "a & b", label: ["tabby cat", "süß"], certainty: ["sure"], level: ["group"] },
    ...{ state: ["refused"], sort: "score-low", page: 12 },
  };

  assert.deepEqual(parseFilter(formatFilter(filter)), filter);
  assert.equal(formatFilter(emptyFilter()), "");
});

test("a broken link is read as far as it makes sense", () => {
  const text = "certainty=maybe&state=refused&sort=magic&page=-3&level=%E0%A4%A&label=";

  assert.deepEqual(parseFilter(text), { ...emptyFilter(), state: ["refused"] });
});

test("a value is switched on and off, from the first page on", () => {
  const on = toggled({ ...emptyFilter(), page: 4 }, "label", "wren");

  assert.deepEqual([on.label, on.page, isActive(on)], [["wren"], 1, true]);
  assert.equal(isActive(toggled(on, "label", "wren")), false);
});
