/** One line to a bridge that answers as it likes. */

import { chmodSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { expect, test } from "bun:test"
import { openSocket } from "../../deploy/opencode-server/plugin/graphiti-memory/socket.ts"
import { FakeBridge, fakeBridge, folder, later, SILENT, until } from "./support.ts"
import type { Json } from "./support.ts"

const LONG = 60_000
const request = (params: Json = {}, method = "ping") => ({ method, params: JSON.stringify(params) })

async function lineTo(bridge: FakeBridge) {
  const lost: string[] = []
  const line = await openSocket(bridge.path, (why) => lost.push(why))
  if (line === undefined) throw new Error("no line")
  later(() => line.close())
  return { line, lost }
}

test("an answer finds its question, in whichever order they come", async () => {
  const held: (() => void)[] = []
  const bridge = await fakeBridge(({ params }) => new Promise((settle) => held.push(() => settle({ n: params.n }))))
  const { line } = await lineTo(bridge)

  const asked = [1, 2, 3].map((n) => line.ask(request({ n }), LONG))
  await until(() => held.length === 3)
  held.reverse().forEach((release) => release())

  expect(await Promise.all(asked)).toEqual([1, 2, 3].map((n) => ({ kind: "result", result: { n } })))
})

test("a long answer in many pieces, split within characters, arrives whole", async () => {
  const said = "☕🧠漢字".repeat(20_000)
  const bridge = await fakeBridge(() => ({ said }))
  bridge.pieces = 1021
  const { line } = await lineTo(bridge)

  expect(await line.ask(request(), LONG)).toEqual({ kind: "result", result: { said } })
})

test("requests that the socket has no room for are sent when it has", async () => {
  const bridge = await fakeBridge(({ params }) => ({ length: params.said.length }))
  const { line } = await lineTo(bridge)
  const said = "ü🧠".repeat(500_000)

  const answers = await Promise.all([1, 2, 3, 4].map(() => line.ask(request({ said }), LONG)))

  expect(answers).toEqual(Array(4).fill({ kind: "result", result: { length: said.length } }))
})

test("a bridge that reads nothing is waited for until the deadline", async () => {
  const bridge = await fakeBridge()
  bridge.reads = false
  const { line } = await lineTo(bridge)

  expect((await line.ask(request({ said: "x".repeat(4_000_000) }), 30)).kind).toBe("late")
})

test("a late answer is nobody's, and the next question gets its own", async () => {
  let release: () => void = () => undefined
  const bridge = await fakeBridge(({ params }) =>
    params.n === 1 ? new Promise((settle) => (release = () => settle({ n: 1 }))) : { n: params.n },
  )
  const { line } = await lineTo(bridge)

  expect((await line.ask(request({ n: 1 }), 20)).kind).toBe("late")
  release()

  expect(await line.ask(request({ n: 2 }), LONG)).toEqual({ kind: "result", result: { n: 2 } })
})

test("a refusal carries its code and its words", async () => {
  const bridge = await fakeBridge(() => ({ error: { code: -32602, message: "path: missing" } }))
  const { line } = await lineTo(bridge)

  expect(await line.ask(request(), LONG)).toEqual({ kind: "refused", code: -32602, message: "path: missing" })
})

test("a bridge that hangs up loses every question, says so once, and takes no more", async () => {
  const bridge = await fakeBridge(() => SILENT)
  const { line, lost } = await lineTo(bridge)
  const asked = [line.ask(request(), LONG), line.ask(request(), LONG)]
  await until(() => bridge.asked.length === 2)

  bridge.hangUp()

  expect((await Promise.all(asked)).map(({ kind }) => kind)).toEqual(["lost", "lost"])
  expect((await line.ask(request(), LONG)).kind).toBe("lost")
  expect(lost).toHaveLength(1)
})

test.each(["garbage\n", "[1,\n", "null\n", '"text"\n'])("%j instead of an answer ends the line", async (bytes) => {
  const bridge = await fakeBridge(() => SILENT)
  const { line, lost } = await lineTo(bridge)
  const asked = line.ask(request(), LONG)
  await until(() => bridge.asked.length === 1)

  for (const socket of bridge.sockets) socket.write(bytes)

  expect((await asked).kind).toBe("lost")
  expect(lost).toHaveLength(1)
})

test("answers to nobody are passed over", async () => {
  const bridge = await fakeBridge()
  const { line } = await lineTo(bridge)
  await until(() => bridge.sockets.size === 1)
  for (const socket of bridge.sockets) socket.write('{"id":77,"result":{}}\n{"id":null,"error":{}}\n{"id":"1"}\n')

  expect((await line.ask(request(), LONG)).kind).toBe("result")
})

test("nobody there is no line and no failure", async () => {
  const path = join(folder(), "b.sock")
  expect(await openSocket(path, () => undefined)).toBeUndefined()

  writeFileSync(path, "no socket")
  expect(await openSocket(path, () => undefined)).toBeUndefined()
  expect(await openSocket(`/${"x".repeat(300)}`, () => undefined)).toBeUndefined()
})

test("the socket of a bridge that was killed is no line", async () => {
  const bridge = await fakeBridge()
  await bridge.stop()

  expect(await openSocket(bridge.path, () => undefined)).toBeUndefined()
})

test("a line that was closed does not call itself lost later", async () => {
  const bridge = await fakeBridge(() => SILENT)
  const { line, lost } = await lineTo(bridge)

  line.close()
  bridge.hangUp()
  await until(() => bridge.sockets.size === 0)

  expect(lost).toEqual(["closed"])
})

test("a socket in a folder that others may write to is not trusted", async () => {
  const bridge = await fakeBridge()
  chmodSync(dirname(bridge.path), 0o770)

  expect(await openSocket(bridge.path, () => undefined)).toBeUndefined()
  expect(bridge.connections).toBe(0)
})
