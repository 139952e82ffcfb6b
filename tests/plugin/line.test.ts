/** Lines out of bytes, however they come. */

import { expect, test } from "bun:test"
import { Lines } from "../../deploy/opencode-server/plugin/graphiti-memory/line.ts"

const SAID = ["", "a", "naïve ☕ 🧠 漢字", '{"a":"\\n"}', "x".repeat(100_000), "end"]
const BYTES = Buffer.from(SAID.map((line) => `${line}\n`).join(""))

test.each([1, 2, 3, 7, 64, 4096, BYTES.length])("lines are the same in pieces of %d bytes", (step) => {
  const lines = new Lines(1 << 20)
  const found: string[] = []

  for (let at = 0; at < BYTES.length; at += step) found.push(...lines.push(BYTES.subarray(at, at + step)))

  expect(found).toEqual(SAID)
})

test("what is kept of a chunk does not change with the chunk's memory", () => {
  const lines = new Lines(1 << 20)
  const chunk = Buffer.from("begin")

  lines.push(chunk)
  chunk.fill(0)

  expect(lines.push(Buffer.from("ning\n"))).toEqual(["beginning"])
})

test("a line without an end is given up before it fills the memory", () => {
  const lines = new Lines(1000)

  expect(() => {
    for (let count = 0; count < 20; count++) lines.push(Buffer.alloc(100, 120))
  }).toThrow("more than 1000 bytes")
})
