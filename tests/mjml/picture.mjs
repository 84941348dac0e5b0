// PNG: drawn for the pages, read back from Chromium, and compared dot by dot.

import { deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/// RGBA dots to a PNG.
export function encode({ width, height, data }) {
  const rows = Buffer.alloc(height * (width * 4 + 1));
  for (let y = 0; y < height; y++) {
    data.copy(rows, y * (width * 4 + 1) + 1, y * width * 4, (y + 1) * width * 4);
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 6, 0, 0, 0], 8);
  const chunks = [chunk("IHDR", head), chunk("IDAT", deflateSync(rows, { level: 1 })), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([SIGNATURE, ...chunks]);
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

// Older Nodes have no crc32 of their own.
function crc(octets) {
  let sum = 0xffffffff;
  for (const octet of octets) sum = CRC[(sum ^ octet) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

function chunk(name, body) {
  const named = Buffer.concat([Buffer.from(name, "latin1"), body]);
  const frame = Buffer.alloc(8 + named.length);
  frame.writeUInt32BE(body.length, 0);
  named.copy(frame, 4);
  frame.writeUInt32BE(crc(named), 4 + named.length);
  return frame;
}

/// A PNG of Chromium's (8 bits, RGB or RGBA, not interlaced) to RGBA dots.
export function decode(png) {
  let width = 0;
  let height = 0;
  let channels = 4;
  const parts = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const name = png.toString("latin1", at + 4, at + 8);
    const body = png.subarray(at + 8, at + 8 + length);
    if (name === "IHDR") {
      width = body.readUInt32BE(0);
      height = body.readUInt32BE(4);
      channels = body[9] === 2 ? 3 : 4;
    }
    if (name === "IDAT") parts.push(body);
    at += length + 12;
  }
  const raw = inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  const data = Buffer.alloc(width * height * 4, 255);
  let above = Buffer.alloc(stride);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    const row = raw.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1));
    unfilter(filter, row, above, channels);
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) data[(y * width + x) * 4 + c] = row[x * channels + c];
    }
    above = row;
  }
  return { width, height, data };
}

// PNG, section 9: each octet was written as its difference from a neighbour.
function unfilter(filter, row, above, step) {
  for (let i = 0; i < row.length; i++) {
    const left = i >= step ? row[i - step] : 0;
    const up = above[i];
    const corner = i >= step ? above[i - step] : 0;
    if (filter === 1) row[i] += left;
    else if (filter === 2) row[i] += up;
    else if (filter === 3) row[i] += (left + up) >> 1;
    else if (filter === 4) row[i] += paeth(left, up, corner);
  }
}

function paeth(left, up, corner) {
  const guess = left + up - corner;
  const a = Math.abs(guess - left);
  const b = Math.abs(guess - up);
  const c = Math.abs(guess - corner);
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/// How many dots of two pictures differ, of how many, and a picture of them: theirs pale, the differing red.
export function difference(one, other) {
  const width = Math.max(one.width, other.width);
  const height = Math.max(one.height, other.height);
  const data = Buffer.alloc(width * height * 4, 255);
  let dots = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 4;
      const a = dot(one, x, y);
      if (a !== dot(other, x, y) || a < 0) {
        dots++;
        data.set([224, 0, 32], at);
      } else {
        for (let c = 0; c < 3; c++) data[at + c] = 192 + (one.data[(y * one.width + x) * 4 + c] >> 2);
      }
    }
  }
  return { dots, of: width * height, picture: { width, height, data } };
}

// -1 outside the picture, so that a longer page differs from a shorter one.
function dot(picture, x, y) {
  if (x >= picture.width || y >= picture.height) return -1;
  return picture.data.readUInt32BE((y * picture.width + x) * 4);
}

/// A picture that shows how it was scaled and cut: of the size in its name (`600x300-sky.png`), in a colour
/// of its address, with a frame, a slope and holes through which the background is seen.
export function drawn(url) {
  const name = new URL(url).pathname.split("/").pop();
  const size = /^(\d+)x(\d+)/.exec(name);
  const width = size ? Math.min(+size[1], 2000) : 64;
  const height = size ? Math.min(+size[2], 2000) : 64;
  let hash = 2166136261;
  for (const octet of Buffer.from(url)) hash = Math.imul(hash ^ octet, 16777619) >>> 0;
  const colour = [hash & 255, (hash >> 8) & 255, (hash >> 16) & 255];
  const data = Buffer.alloc(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 4;
      const edge = x < 2 || y < 2 || x >= width - 2 || y >= height - 2;
      const slope = Math.abs(x * height - y * width) < 2 * width;
      const hole = !edge && !slope && (x >> 4) % 4 === 1 && (y >> 4) % 4 === 1;
      const shade = edge || slope ? 0.4 : 0.7 + 0.3 * (x / width);
      for (let c = 0; c < 3; c++) data[at + c] = colour[c] * shade;
      data[at + 3] = hole ? 0 : 255;
    }
  }
  return encode({ width, height, data });
}
