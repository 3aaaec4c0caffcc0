// The chapters as they are now; the list moves only when something has changed, and keeps what has the keyboard.
const list = document.querySelector("#chapters");
let shown = null;
setInterval(async () => {
  const answer = await fetch("/chapters").catch(() => null);
  if (!answer || !answer.ok) return;
  const chapters = await answer.text();
  if (shown === null || chapters !== shown) {
    const hadButton = document.activeElement?.matches("#chapters button");
    if (shown !== null || chapters.trim() !== list.innerHTML.trim()) list.innerHTML = chapters;
    shown = chapters;
    if (hadButton) list.querySelector("button")?.focus();
  }
}, 700);
