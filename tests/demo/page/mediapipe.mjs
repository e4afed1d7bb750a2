// node mediapipe.mjs '{"url": …}' prints what MediaPipe's ImageSegmenter gives in the browser, as JSON.

import { withPage } from "./browser.mjs";

const options = JSON.parse(process.argv[2]);
const found = await withPage(options, (page) => page.evaluate(({ model, picture }) => window.segmented(model, picture), options));
console.log(JSON.stringify(found));
