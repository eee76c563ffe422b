/** What taba-client.d.ts says is what the modules are; and a program that uses it is checked by it. Never run. */

import type { Client as Declared } from "../../../taba-js/taba-client.js";
import { Client as InBrowser } from "../../../taba-js/src/browser.js";
import { Client as InNode } from "../../../taba-js/src/node.js";

const made: Declared[] = [
  new InNode({ client: "web-{pid}", server: "http://127.0.0.1:8300", tags: { service: "web" } }),
  new InBrowser({ server: "https://taba.example", log: () => {} }),
];

for (const taba of made) {
  taba.counter("orders", { shop: "berlin" }).add();
  taba.percentile("checkout.ms").record(81.5);
  taba.gauge("release", {}, { expiry: 30 }).set("v1.4.2");
  const waited: number = taba.timer("load.ms").start()();
  const read: Promise<string> = taba.timer("load.ms").time(async () => `${waited}`);
  const all: Promise<boolean> = read.then(() => taba.flush(1)).then(() => taba.close());
  // @ts-expect-error a counter takes numbers
  taba.counter("orders").add("one");
  void all;
}
