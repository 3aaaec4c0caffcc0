// Who reads: language, zone and the true time. The server wrote the language and zone on <html>; a first visit has no zone yet.
const root = document.documentElement;
// Looked at before the cookie is set: on a first visit the server could not know the zone.
const serverKnewZone = document.cookie.includes("zone=");
let offset = 0;

export function remember(name, value) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=31536000; samesite=lax${secure}`;
}

export function forget(name) {
  document.cookie = `${name}=; path=/; max-age=0; samesite=lax`;
}

export function language() {
  // Latin digits everywhere, as the server writes them, so that a live time does not change its numerals.
  return `${root.lang || "en"}-u-nu-latn`;
}

// A page that is one person's own names that person's zone, which the browser's does not overrule.
const ownZone = document.querySelector?.('meta[name="zone"]')?.content;

export function zone() {
  if (ownZone) return ownZone;
  return (serverKnewZone && root.dataset.zone) || Intl.DateTimeFormat().resolvedOptions().timeZone;
}

// Milliseconds since 1970 by the server's clock: a wrong clock on the desk must not turn a promise red.
export function now() {
  return Date.now() + offset;
}

export function startReader() {
  const page = performance.getEntriesByType("navigation")[0];
  const written = Date.parse(root.dataset.now || "");
  if (page && page.transferSize > 0 && written) {
    const difference = written - (performance.timeOrigin + page.responseStart);
    if (Math.abs(difference) > 3000) offset = difference;
  }
  whenIdle(rememberZone);
}

// To ask a browser for its zone or its words for time takes a slow telephone a quarter of a second, the first time. The server
// wrote both: what only keeps them true waits until the page can be used.
export function whenIdle(work) {
  if (window.requestIdleCallback) window.requestIdleCallback(work, { timeout: 2000 });
  else setTimeout(work, 200);
}

function rememberZone() {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (here && !document.cookie.includes(`zone=${encodeURIComponent(here)}`)) remember("zone", here);
}
