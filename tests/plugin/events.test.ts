/** What is told of OpenCode's events, with those that it really sent. */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "bun:test"
import { chatPayload, encoded, toldOf, toolPayload } from "../../deploy/opencode-server/plugin/graphiti-memory/events.ts"
import { text } from "./support.ts"
import type { Json } from "./support.ts"

const SAMPLES = join(import.meta.dir, "..", "samples", "opencode-1.18.33")
const read = (name: string): Json[] =>
  readFileSync(join(SAMPLES, name), "utf8").trim().split("\n").map((line) => JSON.parse(line))
const part = (given: Json): Json => ({ id: "evt_1", type: "message.part.updated", properties: { sessionID: "s", time: 1, part: given } })
const tool = (status: string, more: Json = {}): Json => part({ type: "tool", tool: "bash", callID: "c", state: { status, ...more } })

test("of a real session's events only those are told that say something", () => {
  const events = read("full.jsonl").filter(({ hook }) => hook === "event").map(({ input }) => input)
  const told = events.map(toldOf).filter((event) => event !== undefined) as Json[]

  const types = new Set(told.map(({ type }) => type))
  expect(events.length).toBeGreaterThan(100)
  expect(types).toContain("session.created")
  expect(types).toContain("session.idle")
  expect(types).toContain("message.updated")
  expect(types).toContain("message.part.updated")
  for (const { type } of told) expect(type).toMatch(/^(session\.(created|deleted|error|idle|status)|message\.(part\.)?updated)$/)
  for (const { properties } of told) {
    if (properties.part?.type === "tool") expect(properties.part.state.status).toMatch(/^(completed|error)$/)
    if (properties.part?.type === "text") expect(properties.part.text).not.toBe("")
  }
})

test.each(["pending", "running"])("a tool call that is %s is not told", (status) => {
  expect(toldOf(tool(status))).toBeUndefined()
})

test.each(["completed", "error"])("a tool call that is %s is told without its attachments", (status) => {
  const told = toldOf(tool(status, { output: "o", attachments: [{ url: "data:…" }], metadata: { exit: 1 } })) as Json

  expect(told.properties.part.state).toEqual({ status, output: "o", metadata: { exit: 1 } })
})

test.each([
  ["not yet written", text("half", { time: { start: 1 } })],
  ["empty", text(" ", { time: { start: 1, end: 2 } })],
  ["a program's", text("injected", { synthetic: true })],
  ["ignored", text("aside", { ignored: true })],
])("text that is %s is not told", (_, given) => {
  expect(toldOf(part(given))).toBeUndefined()
})

test.each([
  text("typed"),
  text("written", { time: { start: 1, end: 2 } }),
  { type: "patch", hash: "h", files: ["/a"] },
  { type: "compaction", auto: true },
])("%j is told", (given) => {
  expect((toldOf(part(given)) as Json).properties.part).toEqual(given)
})

test("a message is told without its diffs and its system prompt", () => {
  const info = { id: "m", role: "user", time: { created: 1 }, system: "long", summary: { diffs: ["long"] } }

  expect((toldOf({ id: "e", type: "message.updated", properties: { sessionID: "s", info } }) as Json).properties).toEqual({
    sessionID: "s",
    info: { id: "m", role: "user", time: { created: 1 } },
  })
})

test("a compaction's answer stays known as one", () => {
  const info = { id: "m", role: "assistant", summary: true, mode: "compaction" }

  expect((toldOf({ type: "message.updated", properties: { info } }) as Json).properties.info).toEqual(info)
})

test("of a session's state only that a provider is asked again is told", () => {
  const status = (type: string): Json => ({ type: "session.status", properties: { sessionID: "s", status: { type, attempt: 1 } } })

  expect(toldOf(status("busy"))).toBeUndefined()
  expect(toldOf(status("retry"))).toBeDefined()
})

test("whatever is no event is no failure", () => {
  const given = [undefined, null, 1, "x", [], {}, { type: 1 }, { type: "message.updated" }, { type: "session.idle", properties: null }]

  for (const event of given) expect(() => JSON.stringify(toldOf(event))).not.toThrow()
})

test("a tool's output is told in whichever shape it comes", () => {
  const input = { tool: "mem_search", sessionID: "s", callID: "c", args: { q: 1 }, extra: "not told" }
  const told = { tool: "mem_search", sessionID: "s", callID: "c", args: { q: 1 } }

  expect(toolPayload(input, undefined)).toEqual({ input: told, output: {} })
  expect(toolPayload(input, { content: [text("a"), { type: "image", data: "…" }, text("b")] })).toEqual({ input: told, output: { output: "a\nb" } })
  expect(toolPayload(input, { title: "t", output: "o", metadata: { exit: 0 }, attachments: ["…"] })).toEqual({
    input: told,
    output: { title: "t", output: "o", metadata: { exit: 0 } },
  })
})

test("of a prompt what was typed is asked about, and no file", () => {
  const parts = [text("look at this"), { type: "file", url: "data:image/png;base64,…" }, text("Called the Read tool", { synthetic: true })]

  expect(chatPayload("s", { id: "m", agent: "build", model: { modelID: "x" }, summary: {} }, parts)).toEqual({
    input: { sessionID: "s", messageID: "m", agent: "build", model: { modelID: "x" } },
    output: { message: { id: "m" }, parts: [text("look at this")] },
  })
})

test("what is huge is told by its beginning and its end, cut at lines", () => {
  const output = Array.from({ length: 60_000 }, (_, n) => `line ${n} ${"ü".repeat(10)}`).join("\n")

  const told = JSON.parse(encoded({ output, small: "kept" }))

  expect(Buffer.byteLength(JSON.stringify(told))).toBeLessThan(512 * 1024)
  expect(told.small).toBe("kept")
  expect(told.output).toMatch(/^line 0 ü+\n[^]*\nline \d+ ü+\n\[… \d+ characters …\]\nline \d+ ü+\n[^]*\nline 59999 ü+$/)
})

test("one enormous line without an end is not cut in half", () => {
  const told = JSON.parse(encoded({ output: "secret".repeat(500_000) }))

  expect(told.output).toBe("[… 3000000 characters …]")
})

test("what a private passage may reach to is left out", () => {
  const filler = "line\n".repeat(300_000)

  const told = JSON.parse(encoded({ output: `head\n${filler}<private>\n${filler}hidden\n</private>\ntail` }))

  expect(told.output).toStartWith("head\n")
  expect(told.output).not.toContain("hidden")
})

test("many texts that are too much together are each cut shorter", () => {
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`f${n}`, "word and\n".repeat(2000)]))

  expect(Buffer.byteLength(encoded(many))).toBeLessThan(512 * 1024)
})

test("lone surrogates and control characters go through as JSON", () => {
  expect(JSON.parse(encoded({ said: "\ud800 \u0000 \u2028" }))).toEqual({ said: "\ud800 \u0000 \u2028" })
  expect(encoded({ said: "\ud800\n" })).not.toContain("\n")
})
