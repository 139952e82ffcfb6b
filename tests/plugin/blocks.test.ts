/** What each message was given, within bounds. */

import { expect, test } from "bun:test"
import { Blocks } from "../../deploy/opencode-server/plugin/graphiti-memory/blocks.ts"

const most = { sessions: 3, messages: 4, bytes: 1 << 20 }

test("the first word about a message stands", () => {
  const blocks = new Blocks()
  blocks.set("s", "m", "")
  blocks.set("s", "m", "something")
  blocks.set("s", "n", "one")
  blocks.set("s", "n", "two")

  expect([blocks.get("s", "m"), blocks.get("s", "n"), blocks.get("s", "o"), blocks.get("t", "m")]).toEqual(["", "one", undefined, undefined])
})

test("of too many messages those go that were used longest ago", () => {
  const blocks = new Blocks(most)
  for (const n of [1, 2, 3, 4]) blocks.set("s", `m${n}`, `block ${n}`)
  blocks.get("s", "m1")

  blocks.set("s", "m5", "block 5")

  expect([1, 2, 3, 4, 5].map((n) => blocks.get("s", `m${n}`))).toEqual(["block 1", undefined, "block 3", "block 4", "block 5"])
})

test("of too many sessions the one goes that was used longest ago", () => {
  const blocks = new Blocks(most)
  for (const name of ["a", "b", "c"]) for (const n of [1, 2]) blocks.set(name, `m${n}`, name)
  blocks.set("a", "m3", "a")

  blocks.set("d", "m1", "d")

  expect(["a", "b", "c", "d"].map((name) => blocks.get(name, "m1"))).toEqual(["a", undefined, "c", "d"])
})

test("too many bytes take the oldest session's oldest along", () => {
  const blocks = new Blocks({ sessions: 100, messages: 100, bytes: 10_000 })

  for (let n = 0; n < 20; n++) blocks.set(`s${n}`, "m", "x".repeat(1000))

  const kept = Array.from({ length: 20 }, (_, n) => n).filter((n) => blocks.get(`s${n}`, "m") !== undefined)
  expect(kept).toEqual([16, 17, 18, 19])
})

test("a session that is dropped leaves room", () => {
  const blocks = new Blocks({ sessions: 100, messages: 100, bytes: 5000 })
  blocks.set("a", "m", "x".repeat(2000))
  blocks.drop("a")
  blocks.drop("a")

  blocks.set("b", "m", "x".repeat(2000))

  expect(blocks.get("a", "m")).toBeUndefined()
  expect(blocks.get("b", "m")).toHaveLength(2000)
})
