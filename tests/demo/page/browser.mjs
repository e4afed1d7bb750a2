// Chromium with a page, and what the page complains of.

import { chromium } from "playwright-core";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

export async function withPage({ program, url, width = 1280, height = 800, dark = false, camera = null, flags = [],
  ready = "body[data-ready]" }, work) {
  const fake = camera
    ? ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${camera}`]
    : [];
  const browser = await chromium.launch({ executablePath: program, args: [...FLAGS, ...fake, ...flags] });
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: dark ? "dark" : "light", hasTouch: width < 500, acceptDownloads: true,
    permissions: camera ? ["camera"] : [],
  });
  const page = await context.newPage();
  const heard = { errors: [], origins: [] };
  page.on("console", (message) => { if (message.type() === "error") heard.errors.push(message.text()); });
  page.on("pageerror", (error) => heard.errors.push(error.message));
  context.on("request", (request) => {
    const { origin } = new URL(request.url());
    if (!heard.origins.includes(origin)) heard.origins.push(origin);
  });
  try {
    const since = Date.now();
    await page.goto(url);
    await page.waitForSelector(ready, { state: "attached" });
    const found = await work(page, since);
    return { ...found, ...heard };
  } finally {
    await browser.close();
  }
}

const told = (page) => page.waitForFunction(() => document.querySelector("#status").textContent.includes("ms per frame"));

export async function open(page, file) {
  await page.evaluate(() => { document.querySelector("#status").textContent = ""; });
  await page.setInputFiles("#file", file);
  await told(page);
}

export async function choose(page, value) {
  await page.evaluate(() => { document.querySelector("#status").textContent = ""; });
  await page.selectOption("#model", value);
  await told(page);
}

export async function save(page, button, path) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  await download.saveAs(path);
  return download.suggestedFilename();
}

export const legend = (page) => page.$$eval("#legend li", (items) => items.map((item) => [...item.children].slice(1).map((x) => x.textContent)));
export const error = (page) => page.$eval("#error", (box) => (box.hidden ? null : box.firstElementChild.textContent));
