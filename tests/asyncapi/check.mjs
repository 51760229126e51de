// node check.mjs < asyncapi.json: prints what the parser has to say of the document, a line each, and fails where it is wrong. The
// first line names the messages.

import { Parser } from "@asyncapi/parser";

let text = "";
for await (const part of process.stdin) text += part;
const { document, diagnostics } = await new Parser().parse(text);
console.log(document?.allMessages().all().map((message) => message.name()).join(" ") ?? "");
for (const { severity, code, path, message } of diagnostics) console.log(severity, code, path.join("."), message);
process.exit(document && diagnostics.every(({ severity }) => severity > 0) ? 0 : 1);
