// A time stamp in a picture: cells of black and white in a strip, read back from the picture that
// was compressed, upscaled and compressed again.

const SYNC = [1, 0, 1, 0];
const TIME_BITS = 24; // milliseconds, round and round every 4.6 hours
const CHECK_BITS = 8;
export const CELLS = SYNC.length + TIME_BITS + CHECK_BITS + SYNC.length;
const WRAP = 2 ** TIME_BITS;

const bits = (value, count) => Array.from({ length: count }, (_, i) => (value >> (count - 1 - i)) & 1);
const number = (cells) => cells.reduce((value, bit) => value * 2 + bit, 0);
const check = (time) => ((time & 255) * 7 + ((time >> 8) & 255) * 31 + (time >> 16) * 101 + 85) & 255;

/** Draw a time, in whole milliseconds, into the strip (x, y, width, height) of a canvas. */
export function drawStamp(context, time, x, y, width, height) {
  const cells = [...SYNC, ...bits(time, TIME_BITS), ...bits(check(time), CHECK_BITS), ...SYNC];
  cells.forEach((bit, i) => {
    const left = Math.round((i * width) / CELLS), right = Math.round(((i + 1) * width) / CELLS);
    context.fillStyle = bit ? "#fff" : "#000";
    context.fillRect(x + left, y, right - left, height);
  });
}

/** The time in the strip (x, y, width, height) of a canvas, or null if it cannot be read. */
export function readStamp(context, x, y, width, height) {
  const middle = context.getImageData(x, Math.round(y + height / 2), width, 1).data;
  const cells = Array.from({ length: CELLS }, (_, i) => {
    const from = Math.round(((i + 0.3) * width) / CELLS), to = Math.round(((i + 0.7) * width) / CELLS);
    let sum = 0;
    for (let at = from; at < to; at++) sum += middle[4 * at + 1];
    return sum > 127 * (to - from) ? 1 : 0;
  });
  const end = SYNC.length + TIME_BITS;
  const time = number(cells.slice(SYNC.length, end));
  const good = SYNC.every((bit, i) => cells[i] === bit && cells[end + CHECK_BITS + i] === bit) &&
    number(cells.slice(end, end + CHECK_BITS)) === check(time);
  return good ? time : null;
}

/** Whole milliseconds of the page's clock as a stamp holds them. */
export const stampOf = (milliseconds) => Math.floor(milliseconds) % WRAP;

/** Milliseconds from a stamp to a time of the page's clock. */
export const elapsed = (stamp, now) => (((now % WRAP) - stamp) + WRAP) % WRAP;
