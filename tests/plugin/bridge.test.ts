/** The bridge that comes, goes, hangs, or is of another version; and what a turn waits for it. */

import { join } from "node:path"
import { expect, test } from "bun:test"
import { Bridge, PACE } from "../../deploy/opencode-server/plugin/graphiti-memory/bridge.ts"
import type { About, Pace } from "../../deploy/opencode-server/plugin/graphiti-memory/bridge.ts"
import { Log } from "../../deploy/opencode-server/plugin/graphiti-memory/log.ts"
import { openSocket } from "../../deploy/opencode-server/plugin/graphiti-memory/socket.ts"
import { FakeBridge, fakeBridge, FakeClient, folder, HELLO, later, SILENT, until } from "./support.ts"
import type { Json } from "./support.ts"

const LONG = 60_000
const QUESTION = { method: "hook", hook: "chat.message", params: "{}" }
/** Nothing of this passes by itself within a test. */
const CALM: Pace = { ...PACE, start: LONG, hello: LONG, again: 2, most: 10, foreign: LONG, rest: LONG, post: LONG }
const soon = (ms = LONG): number => Date.now() + ms

function bridgeAt(path: string, pace: Partial<Pace> = {}) {
  const client = new FakeClient()
  const log = new Log(client as Json)
  log.open()
  const told: About[] = []
  const tries: boolean[] = []
  const open = async (onLost: (why: string) => void, wanted: boolean) => {
    tries.push(wanted)
    return openSocket(path, onLost)
  }
  const made = new Bridge(open, () => ({ method: "hello", params: "{}" }), (about) => told.push(about), log, { ...CALM, ...pace })
  later(() => made.close())
  made.start()
  return { made, client, told, tries }
}

async function ready(fake: FakeBridge, pace: Partial<Pace> = {}) {
  const given = bridgeAt(fake.path, pace)
  await until(() => given.made.ready)
  return given
}

/** What becomes of the first question that it sends again. */
async function settled(made: Bridge, ms = LONG): Promise<string> {
  for (;;) {
    const { kind } = await made.ask(QUESTION, soon(ms))
    if (kind !== "unsent") return kind
    await new Promise((settle) => setTimeout(settle, 1))
  }
}

const silentBut = (...methods: string[]) => ({ method }: { method: string }) => (methods.includes(method) ? undefined : SILENT)

test("it greets first, and knows what the bridge says of itself", async () => {
  const fake = await fakeBridge()

  const { made, told } = await ready(fake)

  expect(fake.asked[0]?.method).toBe("hello")
  expect(made.about).toEqual({
    version: "9.9.9",
    cache: { kind: "tcp", at: "localhost:6380", up: true },
    inject: "message",
    disabled: false,
    chatDeadlineMs: 20_000,
    optedOut: false,
  })
  expect(told).toHaveLength(1)
})

test("a question that comes before the bridge waits for it", async () => {
  const path = join(folder(), "b.sock")
  let release: () => void = () => undefined
  const fake = await fakeBridge(
    ({ method }) => (method === "hello" ? new Promise((settle) => (release = () => settle(HELLO))) : { n: 1 }),
    path,
  )
  const { made } = bridgeAt(path)

  const asked = made.ask(QUESTION, soon())
  await until(() => fake.of("hello").length === 1)
  release()

  expect(await asked).toEqual({ kind: "result", result: { n: 1 } })
})

test("when no bridge comes at the start, questions are not kept waiting", async () => {
  const { made, tries } = bridgeAt(join(folder(), "b.sock"))

  expect((await made.ask(QUESTION, soon())).kind).toBe("unsent")
  expect((await made.ask(QUESTION, soon())).kind).toBe("unsent")
  expect(tries[0]).toBe(true)
})

test("the wait for a bridge that is being started ends with the start", async () => {
  const fake = await fakeBridge(() => SILENT)
  const { made } = bridgeAt(fake.path, { start: 30 })

  expect((await made.ask(QUESTION, soon())).kind).toBe("unsent")
})

test("a bridge that dies is found again when it is back, however often", async () => {
  const fake = await fakeBridge()
  const { made, client } = await ready(fake)

  for (const round of [1, 2, 3]) {
    await fake.stop()
    await until(() => !made.ready)
    expect((await made.ask(QUESTION, soon())).kind).toBe("unsent")
    await fake.listen()
    await until(() => made.ready)
    expect((await made.ask(QUESTION, soon())).kind, String(round)).toBe("result")
  }
  expect(client.said("the bridge is away")).toBe(3)
})

test("only what is waited for makes it start a bridge again", async () => {
  const fake = await fakeBridge()
  const { made, tries } = await ready(fake)

  await fake.stop()
  await until(() => tries.length >= 3)
  expect(tries.slice(1)).not.toContain(true)

  made.want()
  await until(() => tries.slice(1).includes(true))
})

test("a bridge that hangs costs a few deadlines and then nothing, until it answers again", async () => {
  let hangs = true
  const fake = await fakeBridge(({ method }) => (hangs && method !== "hello" ? SILENT : undefined))
  const { made, client } = await ready(fake, { rest: 20, hello: 20 })
  for (let count = 0; count < 3; count++) expect((await made.ask(QUESTION, soon(50))).kind).toBe("late")

  const before = fake.of("hook").length
  expect((await made.ask(QUESTION, soon())).kind).toBe("unsent")
  expect(fake.of("hook")).toHaveLength(before)
  expect(client.said("does not answer")).toBe(1)

  await until(() => fake.of("ping").length >= 2)
  hangs = false
  await until(() => fake.of("ping").length >= 3)
  expect(await settled(made)).toBe("result")
})

test("after a rest one more wait in vain is enough to stop waiting again", async () => {
  const fake = await fakeBridge(silentBut("hello", "ping"))
  const { made } = await ready(fake, { rest: 5 })
  for (let count = 0; count < 3; count++) await made.ask(QUESTION, soon(50))
  await until(() => fake.of("ping").length > 0)

  expect(await settled(made, 50)).toBe("late")
  expect((await made.ask(QUESTION, soon())).kind).toBe("unsent")
})

test("one late answer in between is forgiven", async () => {
  let hangs = false
  const fake = await fakeBridge(({ method }) => (hangs && method === "hook" ? SILENT : undefined))
  const { made } = await ready(fake)

  for (let count = 0; count < 4; count++) {
    hangs = true
    for (let times = 0; times < 2; times++) expect((await made.ask(QUESTION, soon(50))).kind).toBe("late")
    hangs = false
    expect((await made.ask(QUESTION, soon())).kind).toBe("result")
  }
})

test.each([
  ["another protocol", { ...HELLO, protocol: 2 }, "of another version"],
  ["no greeting", { error: { code: -32601, message: "no such method: hello" } }, "of another version"],
  ["a closed door", { error: { code: -32099, message: "the token is wrong" } }, "the token is wrong"],
])("a bridge with %s is left alone, and that is said once", async (_, answer, words) => {
  const fake = await fakeBridge(({ method }) => (method === "hello" ? answer : undefined))
  const { made, client } = bridgeAt(fake.path, { foreign: 5 })

  await until(() => fake.of("hello").length >= 3)

  expect((await made.ask(QUESTION, soon())).kind).toBe("unsent")
  expect(fake.of("hook")).toHaveLength(0)
  expect(client.said(words)).toBe(1)
})

test("an older bridge that is replaced is taken", async () => {
  let protocol = 0
  const fake = await fakeBridge(({ method }) => (method === "hello" ? { ...HELLO, protocol } : undefined))
  const { made } = bridgeAt(fake.path, { foreign: 5 })
  await until(() => fake.of("hello").length >= 2)

  protocol = 1

  await until(() => made.ready)
})

test("a bridge that takes connections and never greets is none", async () => {
  const fake = await fakeBridge(() => SILENT)
  const { made } = bridgeAt(fake.path, { hello: 5 })

  await until(() => fake.connections >= 3)

  expect(made.ready).toBe(false)
  expect((await made.ask(QUESTION, soon())).kind).toBe("unsent")
})

test("what nobody waits for hangs up on a bridge that does not answer it", async () => {
  const fake = await fakeBridge(silentBut("hello"))
  const { made } = await ready(fake, { post: 10 })

  expect((await made.post({ method: "event", params: "{}" })).kind).toBe("late")

  await until(() => fake.connections === 2)
})

test("the model's own call waits for a bridge that comes back, and not for one that does not", async () => {
  const fake = await fakeBridge()
  const { made } = await ready(fake, { come: 1000 })
  await fake.stop()
  await until(() => !made.ready)

  expect((await made.call(QUESTION, LONG)).kind).toBe("unsent")
  const asked = made.call(QUESTION, LONG)
  await fake.listen()

  expect((await asked).kind).toBe("result")
})

test("closed, it asks nobody, connects to nobody and lets nobody wait", async () => {
  const fake = await fakeBridge(silentBut("hello"))
  const { made } = await ready(fake)
  const asked = made.ask(QUESTION, soon())

  made.close()
  made.want()

  expect((await asked).kind).toBe("lost")
  expect((await made.ask(QUESTION, soon())).kind).toBe("unsent")
  await until(() => fake.sockets.size === 0)
  expect(fake.connections).toBe(1)
})
