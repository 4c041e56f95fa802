/** What systems leave in folders by themselves. */

/**
 * Names of files and folders, in small letters; the same as `STREWN_NAMES` of
 * `whatsit/folders/find.py`, which says where they come from.
 */
export const STREWN_NAMES = [
  "__macosx",
  "icon\r",
  "network trash folder",
  "temporary items",
  "thumbs.db",
  "ehthumbs.db",
  "ehthumbs_vista.db",
  "desktop.ini",
  "$recycle.bin",
  "recycler",
  "system volume information",
  "@eadir",
  "#recycle",
  "#snapshot",
  "@recycle",
  "@recently-snapshot",
  "@tmp",
  "lost+found",
  "picasa.ini",
  "zbthumbnail.info",
];

const strewn = new Set(STREWN_NAMES);

/**
 * Whether a file or folder is none that a person put there: what begins with a dot, and the list.
 *
 * @param {string} name Without its folder.
 * @returns {boolean}
 */
export function isStrewn(name) {
  return name.startsWith(".") || strewn.has(name.toLowerCase());
}
