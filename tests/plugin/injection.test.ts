/** What the model is sent: each message with its block, once and for ever, whatever happens. */

import { join } from "node:path"
import { expect, test } from "bun:test"
import { connected, fakeBridge, folder, HELLO, message, say, sent, SILENT, started, text, until } from "./support.ts"
import type { Asked, Json } from "./support.ts"

const blockOf = (id: string): string => `[Memory Context]\nfor ${id}\n[/Memory Context]`
const HANGS = { hello: { ...HELLO, chat_deadline_ms: 20 } }

/** A bridge that has a block for every message, and a ledger. */
function ledger(known: Record<string, string> = {}) {
  return ({ method, params }: Asked): Json => {
    if (params.name === "chat.message") {
      const id = params.payload.output.message.id as string
      known[id] ??= blockOf(id)
      return { outcome: "injected", context: known[id], tokens: 9 }
    }
    if (params.name === "context:replay") {
      const blocks = params.payload.message_ids.filter((id: string) => known[id]).map((id: string) => [id, known[id]])
      return { outcome: "accepted", blocks: Object.fromEntries(blocks) }
    }
    return method === "hello" ? HELLO : undefined
  }
}

const plain = (id: string): string[] => [`question ${id}`]
const withBlock = (id: string): string[] => [...plain(id), blockOf(id)]
const answer = (id: string): Json => message(id, `answer ${id}`, "ses_1", "assistant")

test("a message is sent with its block, as a part of its own behind the others", async () => {
  const { hooks, bridge } = await connected(ledger())
  const asked = message("msg_1")
  await say(hooks, asked)

  const copy: Json[] = structuredClone([asked])
  await hooks["experimental.chat.messages.transform"]({}, { messages: copy })

  expect(copy[0].parts[1]).toEqual({
    id: "prt_memory_msg_1",
    sessionID: "ses_1",
    messageID: "msg_1",
    type: "text",
    text: blockOf("msg_1"),
    synthetic: true,
  })
  expect(bridge.hooks("chat.message")[0]).toEqual({
    name: "chat.message",
    payload: { input: { sessionID: "ses_1", messageID: "msg_1", agent: "build" }, output: { message: { id: "msg_1" }, parts: [text("question msg_1")] } },
    at: expect.any(Number),
    cwd: expect.stringContaining("ogm-p-"),
  })
})

test("every later request sends every message as it was sent, and asks nothing again", async () => {
  const { hooks, bridge } = await connected(ledger())
  const messages: Json[] = []
  const requests: string[] = []
  for (let turn = 1; turn <= 20; turn++) {
    if (turn === 10) await bridge.stop()
    messages.push(message(`msg_${turn}`))
    await say(hooks, messages.at(-1))
    for (const step of [1, 2]) {
      requests.push(JSON.stringify(await sent(hooks, messages)).slice(0, -1))
      messages.push(answer(`${turn}_${step}`))
    }
  }

  requests.forEach((request, index) => expect(requests[index + 1] ?? request).toStartWith(request))
  expect(requests[19]).toContain("for msg_9")
  expect(requests.at(-1)).not.toContain("for msg_11")
  expect(bridge.hooks("chat.message").map(({ payload }) => payload.output.message.id)).toEqual(
    Array.from({ length: 9 }, (_, n) => `msg_${n + 1}`),
  )
  expect(bridge.hooks("context:replay")).toHaveLength(0)
})

test("a message that was there before the bridge is asked about when it is sent", async () => {
  const path = join(folder(), "b.sock")
  const { hooks, client } = await started({ OPENCODE_MEM_SOCKET: path })
  await say(hooks, message("msg_1"))
  await fakeBridge(ledger(), path)
  await until(() => client.said("Valkey cache connected"))

  expect(await sent(hooks, [message("msg_1")])).toEqual([withBlock("msg_1")])
})

test("a message that had to wait too long goes without for ever, and the bridge is told so", async () => {
  let release: (given: Json) => void = () => undefined
  const { hooks, bridge } = await connected(({ method, params }) => {
    if (method === "hello") return HANGS.hello
    return params.name === "chat.message" ? new Promise((settle) => (release = settle)) : undefined
  })
  const asked = message("msg_1")

  await say(hooks, asked)
  release({ outcome: "injected", context: blockOf("msg_1") })
  await until(() => bridge.of("withheld").length === 1)

  expect(await sent(hooks, [asked])).toEqual([plain("msg_1")])
  expect(bridge.of("withheld")[0]?.params).toMatchObject({ session_id: "ses_1", message_ids: ["msg_1"] })
})

test("an answer that was lost on the way is told as withheld when the bridge is back", async () => {
  let dies = true
  const { hooks, bridge } = await connected(({ params }) => {
    if (params.name !== "chat.message" || !dies) return undefined
    bridge.hangUp()
    return SILENT
  })

  await say(hooks, message("msg_1"))
  dies = false

  await until(() => bridge.of("withheld").length === 1)
})

test("after a restart of OpenCode a session's blocks come back in one request, unchanged", async () => {
  const known = { msg_1: blockOf("msg_1"), msg_3: blockOf("msg_3") }
  const { hooks, bridge } = await connected(ledger(known))
  const earlier = [message("msg_1"), answer("a"), message("msg_2"), answer("b"), message("msg_3"), answer("c")]
  const newest = message("msg_4")
  await say(hooks, newest)

  const request = await sent(hooks, [...earlier, newest])
  await sent(hooks, [...earlier, newest, answer("d")])

  expect(request).toEqual([withBlock("msg_1"), ["answer a"], plain("msg_2"), ["answer b"], withBlock("msg_3"), ["answer c"], withBlock("msg_4")])
  expect(bridge.hooks("context:replay").map(({ payload }) => payload)).toEqual([
    { session_id: "ses_1", message_ids: ["msg_1", "msg_2", "msg_3"] },
  ])
})

test("blocks that a replay did not give stay away, and the bridge is told so", async () => {
  let hangs = true
  const known = { msg_1: blockOf("msg_1") }
  const { hooks, bridge } = await connected((asked) => {
    if (asked.method === "hello") return HANGS.hello
    return hangs && asked.params.name === "context:replay" ? SILENT : ledger(known)(asked)
  })
  const messages = [message("msg_1"), answer("a"), message("msg_2")]
  await say(hooks, messages[2])

  expect(await sent(hooks, messages)).toEqual([plain("msg_1"), ["answer a"], withBlock("msg_2")])
  hangs = false
  expect(await sent(hooks, messages)).toEqual([plain("msg_1"), ["answer a"], withBlock("msg_2")])

  await until(() => bridge.of("withheld").length === 1)
  expect(bridge.of("withheld")[0]?.params.message_ids).toEqual(["msg_1"])
})

test("after a compaction the message that goes on is asked about then", async () => {
  const { hooks, bridge } = await connected(ledger())
  const [first, again] = [message("msg_1"), message("msg_9", "question msg_1")]
  await say(hooks, first)
  const marker = { info: { id: "msg_7", sessionID: "ses_1", role: "user" }, parts: [{ type: "compaction", auto: true }] }

  const request = await sent(hooks, [marker, answer("summary"), again])

  expect(request.at(-1)).toEqual(["question msg_1", blockOf("msg_9")])
  expect(bridge.hooks("chat.message")).toHaveLength(2)
  expect(bridge.hooks("context:replay")).toHaveLength(0)
})

test("what OpenCode says in the person's place is neither asked about nor given anything", async () => {
  const { hooks, bridge } = await connected(ledger())
  const first = message("msg_1")
  await say(hooks, first)
  const goOn = { info: { id: "msg_2", sessionID: "ses_1", role: "user" }, parts: [text("Continue if you have next steps", { synthetic: true })] }

  const request = await sent(hooks, [first, answer("a"), goOn])

  expect(request).toEqual([withBlock("msg_1"), ["answer a"], ["Continue if you have next steps"]])
  expect(bridge.hooks("chat.message")).toHaveLength(1)
})

test("a compaction is given no blocks, and the request after it is again", async () => {
  const { hooks } = await connected(ledger())
  const messages = [message("msg_1"), answer("a")]
  await say(hooks, messages[0])

  await hooks["experimental.session.compacting"]({ sessionID: "ses_1" }, { context: [] })

  expect(await sent(hooks, messages)).toEqual([plain("msg_1"), ["answer a"]])
  expect(await sent(hooks, messages)).toEqual([withBlock("msg_1"), ["answer a"]])
})

test("a compaction of nothing does not cost the next request its blocks", async () => {
  const { hooks } = await connected(ledger())
  await say(hooks, message("msg_1"))

  await hooks["experimental.session.compacting"]({ sessionID: "ses_1" }, { context: [] })
  await sent(hooks, [])
  await hooks["experimental.chat.system.transform"]({ sessionID: "ses_1" }, { system: ["You are a context summarization agent."] })

  expect(await sent(hooks, [message("msg_1")])).toEqual([withBlock("msg_1")])
})

test("another session's compaction is another session's", async () => {
  const { hooks } = await connected(ledger())
  await say(hooks, message("msg_1"))

  await hooks["experimental.session.compacting"]({ sessionID: "ses_2" }, { context: [] })

  expect(await sent(hooks, [message("msg_1")])).toEqual([withBlock("msg_1")])
})

test.each(["told by an event", "found out from OpenCode"])("a subagent's session, %s, is given nothing", async (how) => {
  const { hooks, bridge, client } = await connected(ledger())
  const info = { id: "ses_1", parentID: "ses_0" }
  if (how.startsWith("told")) await hooks.event({ event: { type: "session.created", properties: { sessionID: "ses_1", info } } })
  else client.sessions["ses_1"] = info

  await say(hooks, message("msg_1"))

  expect(await sent(hooks, [message("msg_1")])).toEqual([plain("msg_1")])
  expect(bridge.hooks("chat.message")).toHaveLength(0)
})

test.each(["title", "compaction", "summary"])("a message to the helper %s is not asked about", async (agent) => {
  const { hooks, bridge } = await connected(ledger())
  const asked = message("msg_1")
  asked.info.agent = agent

  await say(hooks, asked)

  expect(bridge.hooks("chat.message")).toHaveLength(0)
})

test("two plugins in one OpenCode add one block", async () => {
  const { hooks } = await connected(ledger())
  const messages: Json[] = [message("msg_1")]
  await say(hooks, messages[0])

  for (const _ of [1, 2]) await hooks["experimental.chat.messages.transform"]({}, { messages })

  expect(messages[0].parts).toHaveLength(2)
})

test("in the system prompt stands the latest message's block, and never in a helper's", async () => {
  const { hooks } = await connected(ledger(), { OPENCODE_MEM_INJECT: "system" })
  const system = async (first: string): Promise<string[]> => {
    const output = { system: [first] }
    await hooks["experimental.chat.system.transform"]({ sessionID: "ses_1" }, output)
    return output.system
  }
  const messages = [message("msg_1"), answer("a"), message("msg_2")]
  await say(hooks, messages[0])
  await say(hooks, messages[2])

  expect(await sent(hooks, messages)).toEqual([plain("msg_1"), ["answer a"], plain("msg_2")])
  expect(await system("You are OpenCode")).toEqual(["You are OpenCode", blockOf("msg_2")])
  expect(await system("You are a title generator. You output")).toHaveLength(1)
  expect(await system("You are a context summarization agent. You")).toHaveLength(1)
})

test("the place of blocks stays what it was, whatever a later bridge says", async () => {
  let inject = "message"
  const { hooks, bridge } = await connected((asked) => (asked.method === "hello" ? { ...HELLO, inject } : ledger()(asked)))
  await say(hooks, message("msg_1"))
  inject = "off"

  bridge.hangUp()
  await until(() => bridge.of("hello").length === 2)

  expect(await sent(hooks, [message("msg_1")])).toEqual([withBlock("msg_1")])
})

test("switched off, nothing is asked and nothing added", async () => {
  const { hooks, bridge } = await connected(ledger(), { OPENCODE_MEM_INJECT: "off" })

  await say(hooks, message("msg_1"))

  expect(await sent(hooks, [message("msg_1")])).toEqual([plain("msg_1")])
  expect(bridge.of("hook")).toHaveLength(0)
})

test("without any bridge every message goes as it is, at once", async () => {
  const { hooks } = await started({})

  for (const id of ["msg_1", "msg_2"]) await say(hooks, message(id))

  expect(await sent(hooks, [message("msg_1"), message("msg_2")])).toEqual([plain("msg_1"), plain("msg_2")])
})
