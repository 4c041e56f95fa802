import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 as referenceCrc32 } from "node:zlib";
import { crc32, packZip, safePath } from "../../src/whatsit/web/ui/assets/ask/gallery/zip.js";

const encode = (text) => new TextEncoder().encode(text);

/** Names and contents, read from the directory at the end as any program does. */
async function unpacked(archive) {
  const view = new DataView(await archive.arrayBuffer());
  const text = (at, length) => new TextDecoder().decode(new Uint8Array(view.buffer, at, length));
  const end = view.byteLength - 22;
  assert.equal(view.getUint32(end, true), 0x06054b50);
  const found = [];
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left -= 1) {
    assert.equal(view.getUint32(at, true), 0x02014b50);
    const [size, length] = [view.getUint32(at + 24, true), view.getUint16(at + 28, true)];
    const file = view.getUint32(at + 42, true);
    const begin = file + 30 + view.getUint16(file + 26, true);
    const content = text(begin, size);
    assert.equal(view.getUint32(at + 16, true), referenceCrc32(encode(content)));
    found.push([text(at + 46, length), content]);
    at += 46 + length;
  }
  assert.equal(at, end);
  return found;
}

test("an archive holds its files in their order", async () => {
  const files = [
    { path: "日本/ñ/🐝.txt", bytes: encode("bee") },
    { path: "empty", bytes: encode("") },
  ];

  const found = await unpacked(packZip(files));

  assert.deepEqual(found, [
    ["日本/ñ/🐝.txt", "bee"],
    ["empty", ""],
  ]);
});

test("no two files have the same name, whatever a file system takes for the same", async () => {
  const paths = ["a/same.jpg", "a/same.jpg", "a/SAME.jpg", "same", "same", "u\u0308.x", "\u00fc.x"];
  const found = await unpacked(packZip(paths.map((path) => ({ path, bytes: encode("") }))));

  assert.deepEqual(
    found.map(([name]) => name),
    [
      "a/same.jpg",
      "a/same (2).jpg",
      "a/SAME (3).jpg",
      "same",
      "same (2)",
      "u\u0308.x",
      "\u00fc (2).x",
    ],
  );
});

for (const [given, expected] of [
  ["../../etc/passwd.jpg", "etc/passwd.jpg"],
  ["/root/b.jpg", "root/b.jpg"],
  ["C:\\Windows/c.jpg", "C__Windows/c.jpg"],
  ["x/..\\..\\d.jpg", "x/.._.._d.jpg"],
  ['say "hi" & <bye>.jpg', 'say "hi" & <bye>.jpg'],
  ["nul\u0000l.jpg", "nul_l.jpg"],
  [`${"ü".repeat(300)}.jpg.xmp`, `${"ü".repeat(116)}.jpg.xmp`],
  ["a/.. ./. ./b/e.jpg", "a/b/e.jpg"],
  ["..", "_"],
  ["", "_"],
]) {
  test(`a path stays inside its folder: ${JSON.stringify(given.slice(0, 24))}`, () => {
    assert.equal(safePath(given), expected);
  });
}

test("the checksum is that of zlib", () => {
  for (const text of ["", "a", "123456789", "日本".repeat(1000)]) {
    assert.equal(crc32(encode(text)), referenceCrc32(encode(text)));
  }
});

test("more files than an archive can count are refused", () => {
  const files = Array.from({ length: 0x10000 }, () => ({ path: "a", bytes: encode("") }));

  assert.throws(() => packZip(files), RangeError);
});
