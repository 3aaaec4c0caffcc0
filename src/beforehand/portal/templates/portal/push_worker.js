// Shows what a push service brings, and opens the customer's page when it is pressed. It asks nothing of anybody.
self.addEventListener("push", (event) => {
  const said = event.data ? event.data.json() : {};
  const shown = { body: said.body, lang: said.lang, dir: said.dir, tag: said.tag, data: { url: said.url } };
  event.waitUntil(self.registration.showNotification(said.title || "", shown));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(self.clients.openWindow(event.notification.data.url));
});
