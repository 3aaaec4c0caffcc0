// Keeps "3 minutes ago" true while the page stays open, and the exact time on hover in the reader's zone and language.
import { language, now, whenIdle, zone } from "./reader.js";

const STEPS = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];

export function relative(seconds, justNow) {
  if (Math.abs(seconds) < 45) return justNow;
  const words = new Intl.RelativeTimeFormat(language(), { numeric: "always" });
  for (const [name, size] of STEPS) {
    // 0.85: the same threshold as the server's, so that the text does not jump when the script starts.
    if (Math.abs(seconds) >= size * 0.85) {
      const count = Math.max(1, Math.round(Math.abs(seconds) / size));
      return words.format(Math.sign(seconds) * count, name);
    }
  }
  return words.format(Math.round(seconds), "second");
}

function exact(instant) {
  return new Intl.DateTimeFormat(language(), {
    day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone(), timeZoneName: "short",
  }).format(instant);
}

function tick() {
  if (document.hidden) return;
  const instant = now();
  const justNow = document.documentElement.dataset.justNow || "";
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const then = Date.parse(element.dateTime);
    const words = relative((then - instant) / 1000, justNow);
    if (element.textContent !== words) element.textContent = words;
  }
}

// The server did not know the zone of a first visit: write its exact times anew in the browser's.
function setZone(within) {
  if (document.documentElement.dataset.zone === zone()) return;
  for (const element of within.querySelectorAll("time[data-moment], time[data-ago]")) element.title = exact(Date.parse(element.dateTime));
  for (const element of within.querySelectorAll("time[data-moment]")) {
    const form = element.dataset.moment === "clock" ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    element.textContent = new Intl.DateTimeFormat(language(), { ...form, timeZone: zone() }).format(Date.parse(element.dateTime));
  }
}

export function startRelativeTimes() {
  whenIdle(() => {
    setZone(document);
    tick();
  });
  setInterval(tick, 15000);
  document.addEventListener("visibilitychange", tick);
  document.addEventListener("htmx:load", tick);
}
