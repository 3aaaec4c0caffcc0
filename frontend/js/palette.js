// Ctrl-K: one field for everywhere. Without this script it is a page of its own (/console/go/).
export function startPalette() {
  const dialog = document.getElementById("palette");
  const open = () => {
    const field = dialog.querySelector("input");
    if (!dialog.open) dialog.showModal();
    field.focus();
    field.select();
    field.dispatchEvent(new Event("palette"));
  };
  document.addEventListener("keydown", (event) => {
    const box = event.target.closest?.("[data-palette]");
    if (box) step(event, box);
    if (!dialog || event.altKey || event.shiftKey || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "k") return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else if (!document.querySelector("dialog:modal")) open();
  });
  document.addEventListener("click", (event) => {
    if (!dialog || !event.target.closest("[data-opens-palette]") || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    open();
  });
  // Enter in the field takes the first way that is shown; the server's answer comes first if it is still on its way.
  document.addEventListener("submit", (event) => {
    const box = event.target.closest("[data-palette]");
    const first = box?.querySelector(".palette-way");
    if (!first || box.querySelector("input.htmx-request")) return;
    event.preventDefault();
    first.click();
  });
}

function step(event, box) {
  const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!way) return;
  event.preventDefault();
  const stops = [box.querySelector("input"), ...box.querySelectorAll(".palette-way")];
  const place = stops.indexOf(document.activeElement);
  stops[(place + way + stops.length) % stops.length].focus();
}
