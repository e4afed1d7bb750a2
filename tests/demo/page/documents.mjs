// The site of the documents: node documents.mjs '{"url": …, "paths": […]}' prints what was seen as JSON.

import { withPage } from "./browser.mjs";

const options = { ...JSON.parse(process.argv[2]), ready: "main" };

async function look(page, path) {
  await page.goto(new URL(path, options.url).href, { waitUntil: "networkidle" });
  const name = path.replaceAll(/[/.]/g, "_") || "start";
  await page.screenshot({ path: `${options.folder}/${name}_${options.width}.png`, fullPage: options.full });
  return {
    title: await page.title(),
    wide: await page.evaluate(() => document.documentElement.scrollWidth),
    broken: await page.$$eval("img", (images) => images.filter((image) => !image.naturalWidth).map((image) => image.src)),
    unnamed: await page.$$eval(".md-content input, .md-content button", (all) =>
      all.filter((one) => !one.labels?.length && !one.textContent.trim() && !one.title && !one.ariaLabel).map((one) => one.outerHTML)),
  };
}

// Rates moved as by a hand, and what the page answers; by keys, by a button, by the address.
async function gridding(page) {
  await page.goto(new URL("gridding/", options.url).href, { waitUntil: "networkidle" });
  const answer = async () => ({
    verdict: await page.textContent("#verdict"), facts: await page.textContent("#facts"), command: await page.textContent("#command"),
    picture: await page.getAttribute("#coverage", "aria-label"), suggestion: await page.textContent("#suggestion"),
    colors: await page.$eval("#coverage", (canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height), seen = new Set();
      for (let i = 0; i < data.length; i += 4) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
      return seen.size;
    }),
  });
  const seen = { first: await answer() };
  await page.focus("#rate-0");
  await page.keyboard.press("ArrowLeft");
  seen.keys = await answer();
  await page.click("text=4-4-4-4");
  seen.sequence = await answer();
  await page.goto(new URL("gridding/#image,5,2,1.2.9", options.url).href);
  await page.waitForFunction(() => document.querySelector("#verdict").textContent.startsWith("1-2-9"));
  seen.address = await answer();
  await page.goto(new URL("gridding/#image,4,2,<b>", options.url).href);
  seen.nonsense = await answer();
  await page.screenshot({ path: `${options.folder}/gridding_moved_${options.width}.png`, fullPage: true });
  return seen;
}

// The search finds a page without a server.
async function search(page) {
  await page.goto(options.url, { waitUntil: "networkidle" });
  if (options.width < 700) await page.click(".md-header__button[for=__search]");
  await page.click("input[name=query]");
  await page.keyboard.type("hybrid dilated convolution");
  await page.waitForSelector(".md-search-result__item", { state: "attached", timeout: 120_000 });
  return page.$$eval(".md-search-result__item a", (links) => links.map((link) => link.getAttribute("href")));
}

const found = await withPage(options, async (page) => {
  const seen = {};
  for (const path of options.paths) seen[path] = await look(page, path);
  return { pages: seen, gridding: await gridding(page), search: await search(page) };
});
console.log(JSON.stringify(found));
