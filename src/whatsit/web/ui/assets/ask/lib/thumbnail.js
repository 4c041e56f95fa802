/** Small copies of pictures. */

/** As wide as the largest place that shows one, on an ordinary screen. */
const MAX_WIDTH = 320;
/** Twice the width: places that are filled crop what is taller, and it stays sharp there. */
const MAX_HEIGHT = 640;
const MAX_KEPT_BYTES = 100_000;
const QUALITY = 0.82;

/**
 * The largest size of the same shape that fits a thumbnail; never larger than the picture.
 *
 * @param {{width: number, height: number}} picture In pixels, as `width` and `height` of the result.
 * @returns {{width: number, height: number}} At least 1 × 1.
 */
export function thumbnailSize({ width, height }) {
  const ratio = Math.min(1, MAX_WIDTH / width, MAX_HEIGHT / height);
  return {
    width: Math.max(1, Math.round(width * ratio)),
    height: Math.max(1, Math.round(height * ratio)),
  };
}

/**
 * A small copy as JPEG, upright; a JPEG that is small already is returned as it is.
 *
 * @param {Blob} blob
 * @returns {Promise<Blob | null>} null where this browser cannot draw the picture.
 */
export async function makeThumbnail(blob) {
  try {
    const isLight = blob.size <= MAX_KEPT_BYTES;
    // A large picture is made narrow while it is decoded, so that it is never there at full size.
    const picture = await createImageBitmap(
      blob,
      isLight ? {} : { resizeWidth: MAX_WIDTH, resizeQuality: "medium" },
    );
    const { width, height } = thumbnailSize(picture);
    if (isLight && width === picture.width && blob.type === "image/jpeg") {
      picture.close();
      return blob;
    }
    return await drawn(picture, width, height);
  } catch {
    return null;
  }
}

/**
 * @param {ImageBitmap} picture Closed afterwards.
 * @param {number} width
 * @param {number} height
 * @returns {Promise<Blob | null>}
 */
function drawn(picture, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const brush = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  brush.fillStyle = "white"; // JPEG makes what is transparent black
  brush.fillRect(0, 0, width, height);
  brush.imageSmoothingQuality = "high";
  brush.drawImage(picture, 0, 0, width, height);
  picture.close();
  return new Promise((resolve) => {
    canvas.toBlob(resolve, "image/jpeg", QUALITY);
  });
}
