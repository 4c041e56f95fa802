/** XMP sidecars: keywords for photo programs, in a file beside the picture. */

import { labelOf } from "../item.js";

const CERTAIN = ["sure", "probably"];

/**
 * Keywords from the broadest down to the label.
 *
 * They are in English whatever the page speaks, so that a collection does not mix languages.
 * @param {import("../item.js").Item} item
 * @returns {string[]} Empty where nothing is known well enough to be written beside a picture:
 *   refused, not recognised, "none of these", or an unsure answer that nobody confirmed.
 */
export function keywordsOf(item) {
  const held = labelOf(item);
  if (!held || item.state === "refused") return [];
  const { answer, correction } = /** @type {import("../api.js").Reply} */ (item.reply);
  if (!correction && !CERTAIN.includes(answer.certainty)) return [];
  const path = answer.path ?? [];
  const place = path.indexOf(held.label);
  const groups = place >= 0 ? path.slice(0, place) : held.label === answer.label ? path : [];
  return [...new Set([...groups, held.label].map((label) => label.trim()).filter(Boolean))];
}

/**
 * Text that can stand in XML, without the characters that XML has no way to write.
 * @param {string} text
 * @returns {string}
 */
export function escapeXml(text) {
  /** @type {Record<string, string>} */
  const names = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };
  return text
    .toWellFormed()
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "")
    .replace(/[&<>"']/g, (sign) => names[sign]);
}

/**
 * An XMP packet with keywords, flat (`dc:subject`) and as a path (`lr:hierarchicalSubject`).
 * @param {string[]} keywords From the broadest down.
 * @param {number} at When it was answered, in milliseconds of the epoch.
 * @returns {string}
 */
export function toXmp(keywords, at) {
  const bag = (/** @type {string[]} */ words) =>
    words.map((word) => `     <rdf:li>${escapeXml(word)}</rdf:li>`).join("\n");
  const branch = keywords.map((word) => word.replaceAll("|", "/")).join("|");
  return `<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="whatsit">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmp:MetadataDate="${new Date(at).toISOString()}">
   <dc:subject>
    <rdf:Bag>
${bag(keywords)}
    </rdf:Bag>
   </dc:subject>
   <lr:hierarchicalSubject>
    <rdf:Bag>
${bag([branch])}
    </rdf:Bag>
   </lr:hierarchicalSubject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
`;
}
