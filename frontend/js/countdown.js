// Counts a promise down: "9:41 left", "2 hr, 5 min left", "overdue by 3 min". Without it the exact time stands there alone.
import { language, now, whenIdle } from "./reader.js";

const SECOND = 1000;

function unit(value, name) {
  return new Intl.NumberFormat(language(), { style: "unit", unit: name, unitDisplay: "short" }).format(value);
}

export function span(milliseconds) {
  const seconds = Math.floor(Math.abs(milliseconds) / SECOND);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes < 10) return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
  if (hours < 1) return unit(minutes, "minute");
  if (hours < 24) return `${unit(hours, "hour")} ${unit(minutes % 60, "minute")}`;
  return `${unit(Math.floor(hours / 24), "day")} ${unit(hours % 24, "hour")}`;
}

function draw(element, instant) {
  const left = Date.parse(element.dataset.countdown) - instant;
  const state = left < 0 ? "overdue" : left < Number(element.dataset.soon) * SECOND ? "soon" : "ok";
  if (element.dataset.state !== state) element.dataset.state = state;
  const text = element.querySelector("[data-left]");
  const words = (left < 0 ? element.dataset.textOverdue : element.dataset.textLeft).replace("{time}", span(left));
  if (text.textContent !== words) text.textContent = words;
  text.hidden = false;
}

function tick() {
  if (document.hidden) return;
  const instant = now();
  for (const element of document.querySelectorAll("[data-countdown]")) draw(element, instant);
}

export function startCountdowns() {
  whenIdle(tick);
  setInterval(tick, SECOND);
  document.addEventListener("visibilitychange", tick);
  document.addEventListener("htmx:load", tick);
}
