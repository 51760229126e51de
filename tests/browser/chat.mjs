// node chat.mjs SCENARIO BINARY: the chat page in a real browser, against a node on the embedded bus. Every scenario is a test of
// tests/it/browser.rs.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { look } from "./look.mjs";
import { Stage, until } from "./stage.mjs";

const said = (page) => page.locator("#said li:not(.day) article > p").allTextContents();
const speaking = (page) => page.locator("#speaking .provisional p").allTextContents();

async function says(page, text, to) {
  if (to) await page.getByLabel("To", { exact: true }).selectOption(to);
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

async function shows(page, ...texts) {
  await until(`the page shows ${JSON.stringify(texts)}`, async () => {
    const shown = await said(page);
    return shown.length === texts.length && texts.every((text, index) => shown[index].includes(text));
  }).catch(async (error) => assert.fail(`${error.message}, but ${JSON.stringify(await said(page))}`));
}

async function speaks(page, text) {
  await until(`the page shows that it is being said: ${text}`, async () => (await speaking(page)).some((shown) => shown === text));
}

/** The hub learns of the agent by its configuration, the page by being told its name once. */
async function knows(page, agent) {
  await page.getByLabel("To", { exact: true }).evaluate((select, name) => select.append(new Option(name, name)), agent);
}

const scenarios = {
  /** What is said is seen as it is spoken, in every tab, and a stop in one of them is a stop in all. */
  async spoken(stage) {
    const [page, tab] = [await stage.page("u-1"), await stage.page("u-1")];
    await page.getByText("Nothing has been said yet").waitFor();
    await look(page, "empty");
    await knows(page, "sleeper");
    await says(page, "Will it be a good night?", "sleeper");
    const first = await stage.agent.question(0);
    await page.getByText("The sleeper is thinking.").waitFor();
    first.say("It looks like one: ");
    await speaks(page, "It looks like one: ");
    await page.getByText("The sleeper is answering.").waitFor();
    await speaks(tab, "It looks like one: ");
    await look(page, "speaking");
    first.say("your evening was calm.");
    await speaks(tab, "It looks like one: your evening was calm.");
    first.done({ reasons: ["The last three evenings were alike."] });
    for (const each of [page, tab]) await shows(each, "Will it be", "It looks like one: your evening was calm.");
    assert.deepEqual(await speaking(page), []);
    assert.ok(await page.getByRole("button", { name: "Stop" }).isHidden());

    await says(page, "And tomorrow?", "sleeper");
    (await stage.agent.question(1)).say("Tomorrow you should get up at ");
    await speaks(tab, "Tomorrow you should get up at ");
    await tab.getByRole("button", { name: "Stop" }).click();
    for (const each of [page, tab]) {
      await shows(each, "Will it be", "It looks", "And tomorrow?", "The answer was stopped.");
      await until("nothing is being said", async () => !(await speaking(each)).length);
    }
    await page.reload();
    await shows(page, "Will it be", "It looks", "And tomorrow?", "The answer was stopped.");
  },

  /** What the built-in agents say about a trigger, why it is seen, and how it looks. */
  async why(stage) {
    const page = await stage.page("u-1");
    writeFileSync(join(stage.folder, "trigger.json"), JSON.stringify({
      trigger_id: "t-1", user_id: "u-1", trigger_type: "hrv_drop", severity: 0.8, context_window: ["event1", "event2"],
      recommended_agents: ["neuroscientist", "coach"], message: "HRV dropped 25% below baseline", timestamp: new Date().toISOString(),
    }));
    stage.auren("send", "trigger", "trigger.json");
    await page.locator("#said .coach").waitFor();
    await says(page, "coach, may I train today?");
    await until("the coach answers", async () => (await said(page)).length === 4);
    // What is in view is marked as seen, for good and for every device.
    const newest = (each) => each.locator("#said li:not(.user_input):not(.day)").last().locator(".mark");
    await until("it is seen", async () => (await newest(page).textContent()) === "Seen");
    assert.equal(await page.locator("#said .user_input .mark").textContent(), "Delivered");
    await page.reload();
    await until("it is still seen", async () => (await said(page)).length === 4 && (await newest(page).textContent()) === "Seen");
    const phone = await stage.page("u-1");
    await until("it is seen elsewhere, too", async () => (await said(phone)).length === 4 && (await newest(phone).textContent()) === "Seen");
    assert.deepEqual(await phone.locator(".mark").filter({ hasText: "New" }).allTextContents(), []);
    await phone.close();
    assert.match(await page.evaluate(() => fetch("/favicon.ico").then((icon) => icon.text())), /<svg/);
    // By keyboard alone.
    const why = page.locator("#said .neuroscientist summary");
    await why.focus();
    await page.keyboard.press("Enter");
    await page.locator("#said .neuroscientist").getByText("hrv drop, severity 80 %").waitFor();
    await look(page, "conversation");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    await look(page, "sign-in");
    await page.getByLabel("Token").fill("nonsense");
    await page.keyboard.press("Enter");
    await page.getByText("That is no token.").waitFor();
    await page.getByLabel("Token").fill(stage.token("u-1"));
    await page.keyboard.press("Enter");
    await until("the conversation is there again", async () => (await said(page)).length === 4);
  },

  /** A node that is killed in the middle of an answer: the page says so, comes back by itself, and has everything once. */
  async killed(stage) {
    const page = await stage.page("u-1");
    await knows(page, "sleeper");
    await says(page, "Will it be a good night?", "sleeper");
    (await stage.agent.question(0)).say("It looks ");
    await speaks(page, "It looks ");
    await stage.kill();
    await page.getByText("The connection is lost.").waitFor();
    assert.equal(await page.locator("#busy").textContent(), "");
    await look(page, "lost");
    // What is written meanwhile waits for the node.
    await says(page, "Are you there?");
    await page.locator("#speaking .waiting").getByText("Are you there?").waitFor();
    await stage.start();
    const again = await stage.agent.question(1);
    assert.equal(again.asked.id, stage.agent.questions[0].asked.id, "it is the same question");
    again.say("It looks like one.");
    await speaks(page, "It looks like one.");
    again.done();
    await until("everything is there", async () => (await said(page)).filter((text) => /night|like one|there/.test(text)).length >= 3);
    await page.locator("#speaking").waitFor({ state: "hidden" });
    await page.locator("#banner").waitFor({ state: "hidden" });
    const token = stage.token("u-1");
    const log = await (await fetch(`http://${stage.address}/v1/conversations/events`, { headers: { authorization: `Bearer ${token}` } })).json();
    await until("the page has what the log has", async () => {
      const shown = await said(page);
      return shown.length === log.events.length && shown.every((text, index) => text === log.events[index].event.content);
    });
  },

  /** A long past is loaded as it is scrolled to, and what is being read stays where it is. */
  async past(stage) {
    const page = await stage.page("u-1");
    await page.evaluate(async (token) => {
      const { AurenClient } = await import("/client.js");
      const client = new AurenClient({ url: location.origin, token }).connect();
      let heard = 0;
      const all = new Promise((resolve) => client.onEvent(() => ++heard === 140 && resolve()));
      for (let number = 0; number < 70; number += 1) client.send(`question ${number}`, { to: "coach" });
      await all;
      client.close();
    }, stage.token("u-1"));
    await page.reload();
    await until("the newest are there", async () => (await said(page)).length === 50);
    const scroll = page.getByRole("region", { name: "Conversation" });
    assert.ok(await scroll.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight < 5), "it begins at the end");
    while ((await said(page)).length < 140) {
      const top = page.locator("#said li:not(.day)").first();
      const [before, text] = [(await said(page)).length, await top.locator("p").textContent()];
      await scroll.evaluate((box) => { box.scrollTop = 0; });
      await until("older ones are there", async () => (await said(page)).length > before);
      const place = await page.locator("#said li:not(.day)").nth((await said(page)).length - before).evaluate((item) => [
        item.querySelector("p").textContent, item.getBoundingClientRect().top]);
      assert.equal(place[0], text);
      assert.ok(place[1] > -100 && place[1] < 700, `what was read is ${place[1]} pixels from the top`);
    }
    const shown = await said(page);
    const questions = shown.filter((text) => /^question \d+$/.test(text)).map((text) => Number(text.split(" ")[1]));
    assert.deepEqual(questions, [...Array(70).keys()]);
    await page.getByRole("button", { name: "Earlier messages" }).waitFor({ state: "hidden" });
    // Something new does not pull away who reads the past.
    await scroll.evaluate((box) => { box.scrollTop = 1000; });
    const other = await stage.page("u-1");
    await says(other, "one more", "coach");
    await page.getByRole("button", { name: "New messages" }).click();
    await page.getByText("one more").waitFor();
    await until("it is at the end", () => scroll.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight < 80));
  },
};

const [scenario, binary] = process.argv.slice(2);
const stage = await Stage.open(binary);
let failure;
try {
  await scenarios[scenario](stage);
} catch (error) {
  failure = error;
}
try {
  await stage.close();
} catch (error) {
  failure ??= error;
}
if (failure) {
  console.error(failure);
  process.exit(1);
}
