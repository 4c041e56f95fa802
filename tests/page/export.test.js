import assert from "node:assert/strict";
import { before, test } from "node:test";
import { toCsv, toJson, toSidecars } from "../../src/whatsit/web/ui/assets/ask/gallery/export.js";
import {
  escapeXml,
  keywordsOf,
  toXmp,
} from "../../src/whatsit/web/ui/assets/ask/gallery/sidecar.js";
import { answered, refused, replyOf, speak, waiting } from "./support.js";

const corrected = (verdict, label = null) => ({ correction: { verdict, label, wnid: null } });

before(() => speak("en"));

test("a table never runs a formula and keeps every letter", () => {
  const odd = [
    "=1+1",
    "+1.jpg",
    "-1+2",
    "@SUM(A1)",
    "\t=1",
    "\uff1d1",
    'say "hi", then\r\nleave',
    "日本 ñ 🐝",
  ];
  const table = toCsv(odd.map((name, place) => answered(place, "beagle", { name })));

  const [header, ...rows] = table.split(/\r\n(?=,|"",|$)/);
  assert.match(header, /^\ufefffolder,name,state,label,/);
  assert.deepEqual(
    rows.filter(Boolean).map((row) => /^"",("(?:[^"]|"")*"),"done"/.exec(row)[1]),
    [...odd.slice(0, 6).map((name) => `"'${name}"`), '"say ""hi"", then\r\nleave"', '"日本 ñ 🐝"'],
  );
});

test("a document for programs has the service's own words", () => {
  const [first, second, third] = JSON.parse(
    toJson([answered(0, "wren"), refused(1), answered(2, "beagle", corrected("none"))]),
  );

  assert.deepEqual([first.name, first.correction], ["IMG_0.jpg", null]);
  assert.deepEqual(first.answer, replyOf("wren").answer);
  assert.deepEqual([first.top, first.image], [replyOf("wren").top, replyOf("wren").image]);
  assert.deepEqual([second.answer, second.problem.code], [null, "image_unreadable"]);
  assert.equal(third.correction.verdict, "none");
});

for (const [name, item, keywords] of [
  ["a sure answer", answered(0), ["animal", "dog", "beagle"]],
  [
    "a correction to what is not on the path",
    answered(0, "beagle", corrected("other", "red fox")),
    ["red fox"],
  ],
  [
    "a correction to a group of the path",
    answered(0, "beagle", corrected("other", "dog")),
    ["animal", "dog"],
  ],
  ["none of these", answered(0, "beagle", corrected("none")), []],
  ["unsure", answered(0, "beagle", { certainty: "unsure" }), []],
  [
    "unsure, but confirmed",
    answered(0, "wren", { certainty: "unsure", ...corrected("right") }),
    ["animal", "dog", "wren"],
  ],
  ["not recognised", answered(0, "beagle", { recognised: false }), []],
  ["refused", refused(0), []],
  ["waiting", waiting(0), []],
]) {
  test(`keywords of a picture: ${name}`, () => {
    assert.deepEqual(keywordsOf(item), keywords);
  });
}

test("a label cannot break out of its sidecar", () => {
  const evil = "</rdf:li>]]><x a='1\"&amp;\u0001\ud800|bar";

  const text = "&lt;/rdf:li&gt;]]&gt;&lt;x a=&apos;1&quot;&amp;amp;\ufffd|bar";
  assert.equal(escapeXml(evil), text);
  assert.ok(toXmp([evil], 0).includes(`<rdf:li>${text.replace("|", "/")}</rdf:li>`));
});

test("what is not certain is counted and left out of the archive", async () => {
  const { archive, written, left } = toSidecars([answered(0), refused(1), waiting(2)]);
  const bytes = Buffer.from(await archive.arrayBuffer()).toString("latin1");

  assert.deepEqual([written, left], [1, 2]);
  assert.ok(bytes.includes("whatsit-keywords/IMG_0.jpg.xmp"));
  assert.ok(bytes.includes("whatsit-keywords/READ-ME.txt"));
});
