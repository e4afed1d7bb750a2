// The class under the finger, the pointer, or the place that the arrow keys moved to.

import { swatch } from "./draw.js";
import { of, stage, state } from "./state.js";

export function probe(place = state.probe) {
  state.probe = place;
  const { result, area } = state, seen = place && result && area;
  of("tip").hidden = of("cross").hidden = !seen;
  for (const item of of("legend").children) item.classList.remove("here");
  if (!seen) return;
  const x = Math.min(result.width - 1, Math.floor(place.x * result.width)), y = Math.min(result.height - 1, Math.floor(place.y * result.height));
  const label = result.mask[y * result.width + x], known = state.info.classes[label] ?? { label: "unlabelled", color: [128, 128, 128] };
  const left = area.left + place.x * area.width, top = area.top + place.y * area.height;
  of("tip").replaceChildren(swatch(known.color), known.label);
  const tip = of("tip"), right = left + 14 + tip.offsetWidth > stage.clientWidth;
  tip.style.left = `${right ? Math.max(0, left - 14 - tip.offsetWidth) : left + 14}px`;
  tip.style.top = `${Math.max(0, Math.min(stage.clientHeight - tip.offsetHeight, top - 36))}px`;
  of("cross").hidden = !place.keys;
  Object.assign(of("cross").style, { left: `${left}px`, top: `${top}px` });
  of("legend").querySelector(`[data-label="${label}"]`)?.classList.add("here");
  if (place.keys) of("spoken").textContent = known.label;
}

export function pointed(event) {
  if (!state.area) return;
  const box = stage.getBoundingClientRect(), { left, top, width, height } = state.area;
  const x = (event.clientX - box.left - stage.clientLeft - left) / width, y = (event.clientY - box.top - stage.clientTop - top) / height;
  probe(x >= 0 && x < 1 && y >= 0 && y < 1 ? { x, y } : null);
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function keyed(event) {
  if (event.key === "Escape") return probe(null);
  const step = STEPS[event.key];
  if (!step || !state.result) return;
  event.preventDefault();
  const by = event.shiftKey ? 0.1 : 0.02, from = state.probe ?? { x: 0.5, y: 0.5 };
  const moved = (value, direction) => Math.min(0.999, Math.max(0, value + by * direction));
  probe({ x: moved(from.x, step[0]), y: moved(from.y, step[1]), keys: true });
}
