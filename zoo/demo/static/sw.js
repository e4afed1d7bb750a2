// Keeps the page for use without a network, and gives its files the headers that WASM threads need.

importScripts("files.js"); // self.FILES: { version, shell, kept }

const CACHE = `atrous-zoo ${self.registration.scope}`;
const LASTING = ["models/", "runtime/"]; // their names change with their content

const address = (path) => new URL(path, self.registration.scope).href;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(self.FILES.shell.map((path) => new Request(address(path), { cache: "no-cache" })));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE), known = new Set([...self.FILES.shell, ...self.FILES.kept].map(address));
    for (const request of await cache.keys()) if (!known.has(request.url)) await cache.delete(request);
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || !url.href.startsWith(self.registration.scope)) return;
  url.search = url.hash = "";
  const path = url.href.slice(self.registration.scope.length);
  const answer = LASTING.some((start) => path.startsWith(start)) ? lasting : changing;
  event.respondWith(answer(event.request, url.href).then(isolated));
});

async function lasting(request, key) {
  const cache = await caches.open(CACHE);
  return (await cache.match(key)) ?? (await fetched(request, key, cache));
}

async function changing(request, key) {
  const cache = await caches.open(CACHE);
  try {
    return await fetched(request, key, cache);
  } catch (error) {
    const known = await cache.match(key);
    if (known) return known;
    throw error;
  }
}

async function fetched(request, key, cache) {
  const response = await fetch(request);
  if (response.status === 200) await cache.put(key, response.clone());
  return response;
}

function isolated(response) {
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
