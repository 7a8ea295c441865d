"""The script of the viewer of clouds: points with a depth buffer on a canvas, lines of matches over them.

Points are written into the pixels of an image, which needs no graphics card and turns twice 40 000 of them smoothly.
"""

from __future__ import annotations

from typing import Final

from eqcli.report.turning_script import SCRIPT as TURNING

SCRIPT: Final = (
    TURNING
    + """
(() => {
  const data = JSON.parse(document.getElementById("cloud-data").textContent);
  const canvas = document.getElementById("cloud-canvas");
  const pen = canvas.getContext("2d");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const slider = document.getElementById("cloud-progress");
  const size = document.getElementById("cloud-size");
  const shown = {};
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const numbers = (packed) => {
    const raw = new DataView(bytes(packed.data).buffer), found = new Float32Array(raw.byteLength / 2);
    for (let i = 0; i < found.length; i++) {
      found[i] = packed.low[i % 3] + packed.step[i % 3] * raw.getUint16(2 * i, true);
    }
    return found;
  };
  const clouds = data.clouds.map((cloud) => ({
    points: numbers(cloud), colours: cloud.colours && bytes(cloud.colours), plain: cloud.plain,
  }));
  const lines = data.lines && { from: numbers(data.lines.source), to: numbers(data.lines.target),
    inliers: bytes(data.lines.inliers) };
  const mix = (a, b, s) => a + (b - a) * s;
  const motion = (s) => {
    const [x, y, z] = data.axis, c = Math.cos(s * data.angle), n = Math.sin(s * data.angle), d = 1 - c;
    return {
      turn: [c + x * x * d, x * y * d - z * n, x * z * d + y * n, y * x * d + z * n, c + y * y * d, y * z * d - x * n,
        z * x * d - y * n, z * y * d + x * n, c + z * z * d],
      shift: data.from.map((a, k) => mix(a, data.to[k], s)),
    };
  };
  const product = (a, b) => a.map((_, k) => {
    const i = 3 * Math.floor(k / 3), j = k % 3;
    return a[i] * b[j] + a[i + 1] * b[j + 3] + a[i + 2] * b[j + 6];
  });
  const apply = (m, p) => [0, 3, 6].map((r) => m[r] * p[0] + m[r + 1] * p[1] + m[r + 2] * p[2]);
  const placed = () => {
    const s = Number(slider.value) / 100, at = motion(s);
    const radius = mix(data.before.radius, data.after.radius, s);
    const centre = data.before.centre.map((a, k) => mix(a, data.after.centre[k], s));
    const one = (turn, shift) => ({
      turn: product(view.turn, turn), shift: apply(view.turn, shift.map((a, k) => a - centre[k])),
    });
    return { radius, frames: [one(at.turn, at.shift), one([1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0])] };
  };
  const rgb = (text) => (text.match(/[\\d.]+/g) || [255, 255, 255]).slice(0, 3).map(Number);
  let image = null, pixels = null, depths = null;
  const prepare = (w, h, ground) => {
    if (!image || image.width !== w || image.height !== h) {
      image = pen.createImageData(w, h);
      pixels = new Uint32Array(image.data.buffer);
      depths = new Float32Array(w * h);
    }
    pixels.fill((255 << 24 | ground[2] << 16 | ground[1] << 8 | ground[0]) >>> 0);
    depths.fill(-Infinity);
  };
  const paint = (cloud, frame, radius, scale, w, h, ground, ratio) => {
    const { turn, shift } = frame, points = cloud.points, own = shown.own && cloud.colours;
    const plain = cloud.plain[dark.matches ? 1 : 0], edge = Math.max(1, Math.round(size.value * ratio));
    const [x0, y0] = [w / 2 + view.shift[0] * ratio, h / 2 + view.shift[1] * ratio], half = edge >> 1;
    for (let i = 0; i < points.length; i += 3) {
      const a = points[i], b = points[i + 1], c = points[i + 2];
      const z = turn[6] * a + turn[7] * b + turn[8] * c + shift[2];
      const away = 1 - z / (6 * radius);
      if (away < 0.15) continue;
      const near = scale / away;
      const x = Math.round(x0 + near * (turn[0] * a + turn[1] * b + turn[2] * c + shift[0])) - half;
      const y = Math.round(y0 - near * (turn[3] * a + turn[4] * b + turn[5] * c + shift[1])) - half;
      if (x < 0 || y < 0 || x + edge > w || y + edge > h) continue;
      const fade = Math.max(0, Math.min(0.6, 0.22 - 0.33 * z / radius));
      const red = mix(own ? own[i] : plain[0], ground[0], fade);
      const green = mix(own ? own[i + 1] : plain[1], ground[1], fade);
      const blue = mix(own ? own[i + 2] : plain[2], ground[2], fade);
      const colour = (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
      for (let v = y; v < y + edge; v++) {
        for (let k = v * w + x; k < v * w + x + edge; k++) {
          if (z > depths[k]) { depths[k] = z; pixels[k] = colour; }
        }
      }
    }
  };
  const join = (frames, radius, scale, w, h, ratio) => {
    const spot = (points, i, frame) => {
      const [x, y, z] = apply(frame.turn, points.subarray(3 * i, 3 * i + 3)).map((a, k) => a + frame.shift[k]);
      const near = scale / Math.max(0.15, 1 - z / (6 * radius));
      return [w / 2 + view.shift[0] * ratio + near * x, h / 2 + view.shift[1] * ratio - near * y];
    };
    for (const kind of [0, 1]) {
      if (!shown[kind ? "inliers" : "outliers"]) continue;
      pen.strokeStyle = data.strokes[kind][dark.matches ? 1 : 0];
      pen.globalAlpha = kind ? 0.75 : 0.35;
      pen.lineWidth = ratio;
      pen.beginPath();
      for (let i = 0; i < lines.inliers.length; i++) {
        if (lines.inliers[i] !== kind) continue;
        pen.moveTo(...spot(lines.from, i, frames[0]));
        pen.lineTo(...spot(lines.to, i, frames[1]));
      }
      pen.stroke();
    }
    pen.globalAlpha = 1;
  };
  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    const w = Math.round(canvas.clientWidth * ratio), h = Math.round(canvas.clientHeight * ratio);
    if (!w || !h) return;
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const ground = rgb(getComputedStyle(canvas).backgroundColor), { radius, frames } = placed();
    const scale = view.zoom * Math.min(w, h) / (2.1 * radius);
    prepare(w, h, ground);
    ["source", "target"].forEach((name, k) => {
      if (shown[name]) paint(clouds[k], frames[k], radius, scale, w, h, ground, ratio);
    });
    pen.putImageData(image, 0, 0);
    if (lines) join(frames, radius, scale, w, h, ratio);
  };
  const { view, rotate, redraw } = turning(canvas, draw);
  rotate(-0.9, 0.5);
  document.querySelectorAll("[data-shows]").forEach((box) => {
    const set = () => { shown[box.dataset.shows] = box.checked; redraw(); };
    box.addEventListener("change", set);
    set();
  });
  for (const input of [slider, size]) input.addEventListener("input", redraw);
  document.getElementById("cloud-play").addEventListener("click", () => {
    const begun = performance.now(), first = Number(slider.value) < 50 ? 0 : 100;
    const step = (now) => {
      const done = Math.min(1, Math.max(0, (now - begun) / 1500)), eased = done * done * (3 - 2 * done);
      slider.value = 100 * (first ? 1 - eased : eased);
      redraw();
      if (done < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
  dark.addEventListener("change", redraw);
  new ResizeObserver(redraw).observe(canvas);
})();
"""
)
