// Notifications on this device: leave is asked for only after a press, and the subscription goes to us alone.
import { toast } from "./toast.js";

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));

async function subscribe({ worker, key, url }) {
  if ((await Notification.requestPermission()) !== "granted") return false;
  await navigator.serviceWorker.register(worker, { scope: "/my/" });
  const registration = await navigator.serviceWorker.ready;
  const subscription = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
  const body = new URLSearchParams({ subscription: JSON.stringify(subscription) });
  const answer = await fetch(url, { method: "POST", body });
  if (!answer.ok) throw new Error(answer.status);
  return true;
}

export function startPush() {
  const place = document.querySelector("[data-push]");
  if (!place || !("serviceWorker" in navigator) || !("PushManager" in window)) return;
  place.hidden = false;
  const button = place.querySelector("button");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      if (await subscribe(place.dataset)) location.reload();
    } catch {
      toast("failed");
    }
    button.disabled = false;
  });
}
