// node ops.mjs '{"address": …, "token": …, "chatter": …}': the operators' page in a real browser, against a node that the test
// runs. It asks the test by a line on its standard output ("send a trigger"), and the test answers by a line on its standard input.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { SIZES, launch, look } from "./look.mjs";

const { address, token, chatter } = JSON.parse(process.argv[2]);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const problems = [];

async function test(wish) {
  process.stdout.write(`${wish}\n`);
  assert.equal((await answers.next()).value, "done");
}

const browser = await launch();

async function open(signed) {
  const context = await browser.newContext({ viewport: SIZES.desktop });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  // What the page's own policy forbids is told there, too.
  page.on("pageerror", (error) => problems.push(error.stack));
  page.on("console", (said) => said.type() === "error" && !/status of 40\d/.test(said.text()) && problems.push(said.text()));
  await page.goto(`http://${address}/ops${signed ? `#token=${signed}` : ""}`);
  return page;
}

const row = (page, table, ...texts) => texts.reduce((rows, hasText) => rows.filter({ hasText }), page.locator(`#${table} tbody tr`)).first();

// Whoever is no operator is told so, and signs in with another token.
const page = await open(chatter);
await page.getByText("the token has not the scope ops").waitFor();
assert.ok(!page.url().includes("token"), "the token does not stay in the address");
await look(page, "ops-sign-in");
await page.getByLabel("Token").fill(token);
await page.keyboard.press("Enter");

// What the node does.
await page.locator("article", { hasText: "converse" }).getByText("exactly once").waitFor();
await page.locator("article", { hasText: "converse" }).getByText("one transaction").waitFor();
await row(page, "lanes", "converse", "node-1 · 0").waitFor();
const worker = page.locator("article", { hasText: "converse" }).locator(".workers li");
assert.match(await worker.innerText(), /node-1-converse-0\s+working\s+partitions 0–1, restored in \d+ ms/);
await row(page, "agents", "coach", "closed").waitFor();
await row(page, "rules", "hrv_week_below_baseline", "speaks").waitFor();
await row(page, "topics", "triggers.detected").waitFor();
await page.locator("#letters").getByText("there are none").waitFor();

// A trigger is seen as it comes, without what it says.
await page.getByLabel("Topic", { exact: true }).last().selectOption("triggers.detected");
await page.locator("#tail-type").fill("hrv_drop");
await page.getByRole("button", { name: "Follow" }).click();
await page.getByText("Following triggers.detected.").waitFor();
await test("send a trigger");
const seen = row(page, "tail", "user_hash", "hrv drop");
await seen.waitFor();
assert.match(await seen.innerText(), /severity 0.8/);
assert.doesNotMatch(await seen.innerText(), /baseline/);
await row(page, "triggers", "from outside", "hrv drop").waitFor();
await page.getByRole("img", { name: /^Triggers a minute/ }).waitFor();

// A record that nobody can use is a dead letter, and is sent again by whoever says so twice.
await test("send a poison record");
const dead = row(page, "letters", "u-1", "broken json");
await dead.getByRole("button", { name: /^Send again/ }).waitFor();
await look(page, "ops-board", { fullPage: true });
await dead.getByRole("button").click();
await page.getByRole("dialog").getByText("Send it again?").waitFor();
await look(page, "ops-sure");
await page.keyboard.press("Escape");
await test("nothing was sent again");
await dead.getByRole("button").focus();
await page.keyboard.press("Enter");
await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
await page.getByText(/^Sent again: it is at \d+:\d+ in triggers.detected\.$/).waitFor();
await test("it was sent again once");
await row(page, "letters", "u-1", "sent to").waitFor();
assert.equal(await page.locator("#letters tbody tr").filter({ hasText: "broken json" }).count() >= 1, true);

// Filters ask the node.
await page.locator("#letters-user").fill("nobody");
await page.keyboard.press("Tab");
await page.locator("#letters").getByText("there are none").waitFor();
await page.getByRole("button", { name: "Stop" }).click();
await page.getByText("Stopped.").waitFor();

// Whoever leaves takes the token along.
await page.getByRole("button", { name: "Sign out" }).click();
await page.getByLabel("Token").waitFor();
assert.equal(await page.evaluate(() => sessionStorage.length), 0);
await browser.close();
assert.deepEqual(problems, []);
process.exit(0);
