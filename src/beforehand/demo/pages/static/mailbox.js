// Say when there is more mail than this page shows; whoever reads decides when the list moves.
const fresh = document.querySelector(".fresh");
setInterval(async () => {
  const answer = await fetch("/counts.json").catch(() => null);
  if (answer && answer.ok) fresh.hidden = (await answer.json()).mails <= Number(fresh.dataset.newest);
}, 2000);
