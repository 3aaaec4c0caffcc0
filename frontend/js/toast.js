// Notices at the foot of the page: closed by hand, or after a while; a problem stays until it is closed.
const STAY = 8000;
const AT_ONCE = 4;

function arm(toast) {
  if (toast.dataset.armed) return;
  toast.dataset.armed = "yes";
  if (toast.dataset.toast === "urgent") return;
  let timer = setTimeout(() => toast.remove(), STAY);
  const hold = () => clearTimeout(timer);
  const go = () => (timer = setTimeout(() => toast.remove(), STAY));
  toast.addEventListener("pointerenter", hold);
  toast.addEventListener("focusin", hold);
  toast.addEventListener("pointerleave", go);
}

// Shows a notice from one of the page's <template data-toast-for="…">, which hold the translated texts.
export function toast(name) {
  const template = document.querySelector(`template[data-toast-for="${name}"]`);
  const place = document.getElementById("toasts");
  if (!template || !place) return;
  place.append(template.content.cloneNode(true));
  armAll();
}

function armAll() {
  const shown = [...document.querySelectorAll("#toasts [data-toast]")];
  for (const element of shown) arm(element);
  const passing = shown.filter((element) => element.dataset.toast !== "urgent");
  for (const element of passing.slice(0, Math.max(0, passing.length - AT_ONCE))) element.remove();
}

export function startToasts() {
  armAll();
  document.addEventListener("htmx:load", armAll);
  document.addEventListener("htmx:sseMessage", armAll);
  document.addEventListener("click", (event) => event.target.closest("[data-toast-close]")?.closest("[data-toast]").remove());
}
