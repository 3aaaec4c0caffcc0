// Copies what stands beside the button, and says so to eyes and ears.
export function startCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      return; // no right to the clipboard: the text stands there to be selected
    }
    const said = button.querySelector("[data-said]");
    button.dataset.copied = "yes";
    said.textContent = button.dataset.textCopied;
    setTimeout(() => {
      delete button.dataset.copied;
      said.textContent = "";
    }, 2500);
  });
}
