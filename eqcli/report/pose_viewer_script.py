"""The script of the viewer of poses: layers of sticks, turned by hand, sorted by depth and drawn on a canvas."""

from __future__ import annotations

from typing import Final

from eqcli.report.turning_script import SCRIPT as TURNING

SCRIPT: Final = (
    TURNING
    + """
(() => {
  const data = JSON.parse(document.getElementById("pose-data").textContent);
  const canvas = document.getElementById("pose-canvas");
  const pen = canvas.getContext("2d");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let names = true;
  const sticks = [];
  data.layers.forEach((layer, l) => {
    const point = (i) => layer.points.slice(3 * i, 3 * i + 3);
    const paint = (i) => data.colours[layer.colours[i]];
    for (let k = 0; k < layer.lines.length; k += 2) {
      const [i, j] = [layer.lines[k], layer.lines[k + 1]];
      const [p, q] = [point(i), point(j)];
      const m = p.map((x, d) => 0.5 * (x + q[d]));
      sticks.push([l, p, m, paint(i), layer.width], [l, m, q, paint(j), layer.width]);
    }
    const met = new Set(layer.lines);
    for (let i = 0; 3 * i < layer.points.length; i++) {
      if (!met.has(i)) sticks.push([l, point(i), point(i), paint(i), 3 * layer.width]);
    }
  });
  const seen = (p) => [0, 3, 6].map((r) => view.turn[r] * p[0] + view.turn[r + 1] * p[1] + view.turn[r + 2] * p[2]);
  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, w, h);
    const scale = view.zoom * Math.min(w, h) / (2 * data.radius);
    const place = (p) => {
      const near = 1 / (1 - p[2] / (8 * data.radius));
      return [w / 2 + view.shift[0] + scale * near * p[0], h / 2 + view.shift[1] - scale * near * p[1], near];
    };
    const on = data.layers.map((layer) => layer.shown);
    const ready = [];
    for (const [l, p, q, colour, width] of sticks) {
      if (!on[l]) continue;
      const [a, b] = [seen(p), seen(q)];
      ready.push([0.5 * (a[2] + b[2]), a, b, colour, width]);
    }
    ready.sort((x, y) => x[0] - y[0]);
    pen.lineCap = "round";
    const ground = getComputedStyle(canvas).backgroundColor;
    for (const [depth, a, b, colour, width] of ready) {
      const [s, e] = [place(a), place(b)];
      const fade = Math.max(0.25, Math.min(1, 0.72 + 0.55 * depth / data.radius));
      pen.globalAlpha = 1;
      pen.strokeStyle = ground;
      pen.lineWidth = scale * width * s[2] + 2;
      pen.beginPath(); pen.moveTo(s[0], s[1]); pen.lineTo(e[0] + 0.01, e[1]); pen.stroke();
      pen.globalAlpha = fade;
      pen.strokeStyle = colour[dark.matches ? 1 : 0];
      pen.lineWidth = Math.max(1, scale * width * s[2]);
      pen.beginPath(); pen.moveTo(s[0], s[1]); pen.lineTo(e[0] + 0.01, e[1]); pen.stroke();
    }
    pen.globalAlpha = 1;
    if (names) {
      pen.font = "12px system-ui, sans-serif";
      pen.textAlign = "center";
      pen.fillStyle = getComputedStyle(canvas).color;
      data.layers.forEach((layer, l) => {
        if (!on[l]) return;
        for (const [i, words] of layer.labels) {
          const at = place(seen(layer.points.slice(3 * i, 3 * i + 3)));
          pen.fillText(words, at[0], at[1] - 6);
        }
      });
    }
  };
  const { view, redraw } = turning(canvas, draw);
  document.querySelectorAll("[data-layer]").forEach((box) => {
    const set = () => { data.layers[Number(box.dataset.layer)].shown = box.checked; redraw(); };
    box.addEventListener("change", set);
    set();
  });
  const named = document.getElementById("pose-names");
  named.addEventListener("change", () => { names = named.checked; redraw(); });
  dark.addEventListener("change", redraw);
  new ResizeObserver(redraw).observe(canvas);
})();
"""
)
