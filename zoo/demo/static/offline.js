// The service worker, which keeps the page: it must be in charge before anything large is loaded.

const PATIENCE = 4000;
const RELOADED = "atrous-zoo reloaded";

export async function takeCharge() {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register("sw.js", { updateViaCache: "none" });
    if (!navigator.serviceWorker.controller) {
      await Promise.race([
        new Promise((done) => navigator.serviceWorker.addEventListener("controllerchange", done, { once: true })),
        new Promise((done) => setTimeout(done, PATIENCE)),
      ]);
    }
  } catch {
    return; // the page works as long as there is a network
  }
  // A server without the headers for threads: the service worker adds them to the next load.
  if (!self.crossOriginIsolated && navigator.serviceWorker.controller && !sessionStorage.getItem(RELOADED)) {
    sessionStorage.setItem(RELOADED, "1");
    location.reload();
    await new Promise(() => {});
  }
}
