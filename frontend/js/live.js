// Live pages over htmx's server-sent events. The extension opens a new EventSource after a failure, which forgets the last
// event's id; here each URL's last id is kept and sent as `last_event_id`, so that a page resumes without a gap.
import { toast } from "./toast.js";

const PATIENCE = 5000; // say "connection lost" only after this many milliseconds
const lastIds = new Map();

export function resumeUrl(url, lastId) {
  if (!lastId) return url;
  const full = new URL(url, location.href);
  full.searchParams.set("last_event_id", lastId);
  return full.pathname + full.search;
}

function createEventSource(url) {
  const source = new EventSource(resumeUrl(url, lastIds.get(url)));
  const listen = source.addEventListener.bind(source);
  source.addEventListener = (type, listener, options) => {
    const heard = (event) => {
      if (event.lastEventId) lastIds.set(url, event.lastEventId);
      listener(event);
    };
    listen(type, heard, options);
  };
  // "tick" carries the cursor when nothing happened that this page shows.
  source.addEventListener("tick", () => {});
  return source;
}

function watchConnection() {
  const notice = document.querySelector("[data-connection-lost]");
  if (!notice) return;
  let timer = 0;
  document.addEventListener("htmx:sseOpen", () => {
    clearTimeout(timer);
    timer = 0;
    notice.hidden = true;
  });
  document.addEventListener("htmx:sseError", () => {
    if (!timer) timer = setTimeout(() => (notice.hidden = false), PATIENCE);
  });
}

function showWhatChanged(event) {
  const element = event.target;
  if (!(element instanceof HTMLElement) || !element.hasAttribute("data-show-change")) return;
  element.classList.remove("fresh");
  requestAnimationFrame(() => element.classList.add("fresh"));
}

export function startLive() {
  if (!window.htmx) return;
  window.htmx.createEventSource = createEventSource;
  watchConnection();
  document.addEventListener("htmx:sseMessage", showWhatChanged);
  document.addEventListener("htmx:afterSwap", showWhatChanged);
  document.addEventListener("htmx:responseError", () => toast("failed"));
  document.addEventListener("htmx:sendError", () => toast("unreachable"));
}
