// What a scenario stands on: a node as a process, an agent that says what the scenario says, and a browser.
//
// AUREN_TEST_WEB=1 takes the page's files from the checkout instead of the binary, for whoever works on them.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SIZES, launch } from "./look.mjs";

const ROOT = new URL("../../", import.meta.url);
const WEB = { "/chat.css": "src/gateway/web/chat.css", "/chat.js": "src/gateway/web/chat.js", "/client.js": "clients/typescript/client.js" };

/** Waits for something that must come to be. */
export async function until(what, come, limit = 30_000) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await come();
    if (value) return value;
    assert.ok(Date.now() < end, `${what}: not within ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** An agent over HTTP that streams what it is told to say to each question. */
class Agent {
  #server;
  questions = [];

  async listen() {
    this.#server = createServer(async (request, answer) => {
      let body = "";
      for await (const part of request) body += part;
      answer.writeHead(200, { "content-type": "text/event-stream" });
      const event = (name, data) => answer.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
      this.questions.push({
        asked: JSON.parse(body),
        say: (text) => event("delta", { text }),
        done: (advice = {}) => answer.end(`event: advice\ndata: ${JSON.stringify(advice)}\n\n`),
      });
    });
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** The question of this number, from 0. */
  question(number) {
    return until(`question ${number}`, () => this.questions[number]);
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Stage {
  agent = new Agent();
  problems = [];

  static async open(binary) {
    const stage = new Stage();
    stage.binary = binary;
    stage.folder = mkdtempSync(join(tmpdir(), "auren-browser-"));
    stage.address = `127.0.0.1:${await freePort()}`;
    const { PATH, HOME } = process.env;
    stage.environment = {
      PATH, HOME,
      AUREN__HTTP__ADDRESS: stage.address,
      AUREN__TOKENS__SECRET: "a secret that everybody knows, for tests",
      AUREN__CHAT__FRAMES_PER_SECOND: "1000",
      AUREN__AGENTS__HTTP__SLEEPER__URL: await stage.agent.listen(),
      // Its parts are to be seen as they come, and not a sentence at a time.
      AUREN__AGENTS__HTTP__SLEEPER__GUARDED: "false",
    };
    await stage.start();
    // A page that does not come from the node's address is not let near it.
    const args = process.env.AUREN_TEST_WEB ? ["--disable-features=LocalNetworkAccessChecks"] : [];
    stage.browser = await launch(...args);
    return stage;
  }

  auren(...given) {
    return execFileSync(this.binary, given, { cwd: this.folder, env: this.environment, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  }

  async start() {
    const log = [];
    this.node = spawn(this.binary, ["serve"], { cwd: this.folder, env: this.environment, stdio: ["ignore", "ignore", "pipe"] });
    this.node.stderr.setEncoding("utf8").on("data", (text) => log.push(text));
    const ready = () => fetch(`http://${this.address}/readyz`).then(({ ok }) => ok, () => false);
    await until("the node is ready", ready, 60_000).catch((error) => assert.fail(`${error.message}\n${log.join("")}`));
  }

  /** SIGKILL: it has no say in it. */
  async kill() {
    const ended = new Promise((resolve) => this.node.once("exit", resolve));
    this.node.kill("SIGKILL");
    await ended;
  }

  token(user) {
    return this.auren("token", "--user", user).trim();
  }

  /** A page of this person's. */
  async page(user, options = {}) {
    const context = await this.browser.newContext({ viewport: SIZES.desktop, ...options });
    const page = await context.newPage();
    // What the page's own policy forbids is told there, too.
    page.on("pageerror", (error) => this.problems.push(error.stack));
    page.on("console", (said) => said.type() === "error" && !/net::ERR_|WebSocket|status of 404/.test(said.text()) && this.problems.push(said.text()));
    if (process.env.AUREN_TEST_WEB) {
      await page.route((url) => url.pathname in WEB, (route) => {
        const file = WEB[new URL(route.request().url()).pathname];
        return route.fulfill({ path: new URL(file, ROOT).pathname, contentType: file.endsWith("css") ? "text/css" : "text/javascript" });
      });
      await page.route((url) => url.pathname === "/", async (route) => {
        const headers = (await route.fetch()).headers();
        return route.fulfill({ body: readFileSync(new URL("src/gateway/web/chat.html", ROOT)), headers });
      });
    }
    await page.goto(`http://${this.address}/${user ? `#token=${this.token(user)}` : ""}`);
    return page;
  }

  async close() {
    await this.browser?.close();
    this.agent.close();
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
    assert.deepEqual(this.problems, []);
  }
}
