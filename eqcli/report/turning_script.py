"""The script by which a canvas is turned, zoomed and shifted: by mouse, wheel, fingers and keys."""

from __future__ import annotations

from typing import Final

SCRIPT: Final = """
const turning = (canvas, draw) => {
  let queued = false;
  const redraw = () => { if (!queued) { queued = true; requestAnimationFrame(() => { queued = false; draw(); }); } };
  const start = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  const view = { turn: start, zoom: 1, shift: [0, 0] };
  const times = (a, b) => a.map((_, k) => {
    const i = 3 * Math.floor(k / 3), j = k % 3;
    return a[i] * b[j] + a[i + 1] * b[j + 3] + a[i + 2] * b[j + 6];
  });
  const rotate = (x, y) => {
    const [cx, sx, cy, sy] = [Math.cos(x), Math.sin(x), Math.cos(y), Math.sin(y)];
    view.turn = times([cy, 0, sy, 0, 1, 0, -sy, 0, cy], times([1, 0, 0, 0, cx, -sx, 0, sx, cx], view.turn));
  };
  const fingers = new Map();
  canvas.addEventListener("pointerdown", (e) => {
    canvas.setPointerCapture(e.pointerId);
    fingers.set(e.pointerId, e);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (e) => fingers.delete(e.pointerId));
  canvas.addEventListener("pointermove", (e) => {
    const last = fingers.get(e.pointerId);
    if (!last) return;
    const [dx, dy] = [e.clientX - last.clientX, e.clientY - last.clientY];
    if (fingers.size === 2) {
      const other = [...fingers.values()].find((f) => f.pointerId !== e.pointerId);
      const apart = (f) => Math.hypot(f.clientX - other.clientX, f.clientY - other.clientY) || 1;
      view.zoom *= apart(e) / apart(last);
    } else if (e.shiftKey || e.buttons === 2) {
      view.shift = [view.shift[0] + dx, view.shift[1] + dy];
    } else {
      rotate(dy / 150, dx / 150);
    }
    fingers.set(e.pointerId, e);
    redraw();
  });
  const wheel = (e) => { e.preventDefault(); view.zoom *= Math.exp(-e.deltaY / 700); redraw(); };
  canvas.addEventListener("wheel", wheel, { passive: false });
  canvas.addEventListener("contextmenu", (e) => e.preventDefault());
  canvas.addEventListener("dblclick", () => { view.zoom = 1; view.shift = [0, 0]; redraw(); });
  canvas.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: [0, -0.1], ArrowRight: [0, 0.1], ArrowUp: [-0.1, 0], ArrowDown: [0.1, 0] }[e.key];
    const factor = { "+": 1.1, "-": 1 / 1.1 }[e.key];
    if (!step && !factor) return;
    if (step) rotate(...step);
    view.zoom *= factor || 1;
    e.preventDefault();
    redraw();
  });
  return { view, rotate, redraw };
};
"""
"""Defines `turning(canvas, draw)`, which gives `view`, `rotate` and `redraw`.

`view` has `turn` (a matrix by rows), `zoom` and `shift`; `redraw` calls `draw` before the screen is next painted.
"""

HELP: Final = "Drag to turn, wheel or pinch to zoom, shift and drag to move, double click to begin again."
