/** ZIP archives of small files, stored without compression. */

const MOST_ENTRIES = 0xffff;
const MOST_BYTES = 0xffffffff;
const LONGEST_NAME_BYTES = 240;
const UTF8_NAMES = 0x0800;
const MADE_BY_UNIX = 0x0314;
const PLAIN_FILE = (0o100644 << 16) >>> 0;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

/**
 * The CRC-32 of bytes, as ZIP and PNG use it.
 * @param {Uint8Array} bytes
 * @returns {number}
 */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/**
 * Shorten a name to what file systems take, keeping its extensions.
 *
 * @param {string} name
 */
function shorten(name) {
  const size = (/** @type {string} */ text) => new TextEncoder().encode(text).length;
  if (size(name) <= LONGEST_NAME_BYTES) return name;
  const ending = /(\.[^.]{1,12}){1,2}$/.exec(name)?.[0] ?? "";
  const letters = [...name.slice(0, name.length - ending.length)];
  while (letters.length > 1 && size(letters.join("") + ending) > LONGEST_NAME_BYTES) letters.pop();
  return letters.join("") + ending;
}

/**
 * A path that stays inside the folder where the archive is unpacked, on any system.
 * @param {string} path With slashes.
 * @returns {string}
 */
export function safePath(path) {
  const steps = path
    .toWellFormed()
    .replace(/[\p{Cc}\\]/gu, "_")
    .split("/")
    .filter((step) => step !== "" && !/^[.\s]+$/.test(step))
    .map((step) => shorten(step.replace(/^([A-Za-z]):/, "$1_")));
  return steps.join("/") || "_";
}

/**
 * A path that no file before it has, also where large and small letters are the same.
 *
 * @param {string} path
 * @param {Set<string>} taken Gets the path.
 */
function uniquePath(path, taken) {
  const dot = path.lastIndexOf(".");
  const [stem, ending] =
    dot > path.lastIndexOf("/") ? [path.slice(0, dot), path.slice(dot)] : [path, ""];
  let found = path;
  for (let count = 2; taken.has(found.normalize("NFC").toLowerCase()); count += 1) {
    found = `${stem} (${count})${ending}`;
  }
  taken.add(found.normalize("NFC").toLowerCase());
  return found;
}

/** @param {number} at */
function dosTime(at) {
  const date = new Date(at);
  const year = Math.min(Math.max(date.getFullYear(), 1980), 2107);
  const day = ((year - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate();
  const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);
  return ((day << 16) | time) >>> 0;
}

/** @typedef {[value: number, width: number]} Field A number and its bytes. */
/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/**
 * Bytes of little-endian fields.
 *
 * @param {...Field} fields
 */
function record(...fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [, width]) => sum + width, 0));
  let place = 0;
  for (const [value, width] of fields) {
    for (let byte = 0; byte < width; byte += 1) {
      bytes[place] = Math.floor(value / 256 ** byte) % 256;
      place += 1;
    }
  }
  return bytes;
}

/**
 * The fields that stand both before a file and in the directory at the end.
 *
 * @param {Bytes} name
 * @param {Bytes} bytes
 * @param {number} at
 * @returns {Field[]}
 */
function commonFields(name, bytes, at) {
  /** @type {Field} */
  const size = [bytes.length, 4];
  return [
    [20, 2],
    [UTF8_NAMES, 2],
    [0, 2],
    [dosTime(at), 4],
    [crc32(bytes), 4],
    size,
    size,
    [name.length, 2],
    [0, 2],
  ];
}

/**
 * Pack files into an archive, in their order.
 * @param {{path: string, bytes: Bytes, at?: number}[]} files `path` is made safe and unique;
 *   `at` is in milliseconds of the epoch, now if left out.
 * @returns {Blob}
 * @throws {RangeError} if they are too many or too large for an archive without extensions.
 */
export function packZip(files) {
  if (files.length > MOST_ENTRIES) throw new RangeError(`${files.length} files are too many`);
  /** @type {Bytes[]} */
  const parts = [];
  /** @type {Bytes[]} */
  const directory = [];
  /** @type {Set<string>} */
  const taken = new Set();
  let offset = 0;
  for (const { path, bytes, at = Date.now() } of files) {
    const name = new TextEncoder().encode(uniquePath(safePath(path), taken));
    const common = commonFields(name, bytes, at);
    const before = record([0x04034b50, 4], ...common);
    /** @type {Field[]} */
    const rest = [
      [0, 2],
      [0, 2],
      [0, 2],
      [PLAIN_FILE, 4],
      [offset, 4],
    ];
    directory.push(record([0x02014b50, 4], [MADE_BY_UNIX, 2], ...common, ...rest), name);
    parts.push(before, name, bytes);
    offset += before.length + name.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  if (offset + size > MOST_BYTES) throw new RangeError("The files are too large for one archive");
  /** @type {Field} */
  const count = [files.length, 2];
  const end = record([0x06054b50, 4], [0, 2], [0, 2], count, count, [size, 4], [offset, 4], [0, 2]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
