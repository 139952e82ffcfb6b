/** What is told: once if it can be, again if it must be, never more than there is room for. */

import { expect, test } from "bun:test"
import type { Answer, Request } from "../../deploy/opencode-server/plugin/graphiti-memory/line.ts"
import { Log } from "../../deploy/opencode-server/plugin/graphiti-memory/log.ts"
import { BOUNDS, Outbox } from "../../deploy/opencode-server/plugin/graphiti-memory/outbox.ts"
import type { Bounds } from "../../deploy/opencode-server/plugin/graphiti-memory/outbox.ts"
import { FakeClient, until } from "./support.ts"
import type { Json } from "./support.ts"

const TAKEN: Answer = { kind: "result", result: { failed: 0 } }
const refused = (code: number): Answer => ({ kind: "refused", code, message: "no" })
const event = (n: number, said = ""): string => JSON.stringify({ id: `evt_${n}`, said })

interface Flight {
  readonly request: Request
  readonly params: Json
  answer(answer: Answer): void
}

/** A bridge whose answers are given by hand, or by `by`. */
class Mailbox {
  readonly flights: Flight[] = []
  up = true
  wanted = 0
  by: ((flight: Flight) => Answer | undefined) | undefined

  ready = (): boolean => this.up
  want = (): void => void (this.wanted += 1)
  post = (request: Request): Promise<Answer> =>
    new Promise((settle) => {
      const flight = { request, params: JSON.parse(request.params) as Json, answer: settle }
      this.flights.push(flight)
      const answer = this.by?.(flight)
      if (answer !== undefined) settle(answer)
    })

  told(): string[] {
    return this.flights.flatMap(({ params }) => (params.events ?? []).map(({ event }: Json) => event.id))
  }
}

class Command {
  readonly given: string[] = []
  mayIngest = true
  takes = true

  ingest = async (lines: string): Promise<boolean> => {
    this.given.push(lines)
    return this.takes
  }
}

function outbox(bounds: Partial<Bounds> = {}) {
  const mail = new Mailbox()
  const command = new Command()
  const client = new FakeClient()
  const log = new Log(client as Json)
  log.open()
  const box = new Outbox(mail, command, '"cwd":"/w"', log, { ...BOUNDS, again: 1, ...bounds })
  return { box, mail, command, client }
}

test("an event is on its way before the hook that told it returns", () => {
  const { box, mail } = outbox()

  box.event(event(1), false)

  expect(mail.flights[0]?.params).toEqual({
    events: [{ event: { id: "evt_1", said: "" }, at: expect.any(Number) }],
    origin: "live",
    cwd: "/w",
  })
})

test("what comes while others are under way goes together, in its order, hooks between", async () => {
  const { box, mail } = outbox({ flights: 1, urgentFlights: 1 })
  box.event(event(1), false)
  for (const n of [2, 3, 4]) box.event(event(n), false)
  box.hook("tool.execute.after", '{"input":{}}')
  for (const n of [5, 6]) box.event(event(n), false)
  mail.by = () => TAKEN

  mail.flights[0]?.answer(TAKEN)
  await until(() => box.size === 0)

  expect(mail.flights.map(({ request, params }) => [request.method, params.events?.length ?? params.name])).toEqual([
    ["event", 1],
    ["event", 3],
    ["hook", "tool.execute.after"],
    ["event", 2],
  ])
  expect(mail.told()).toEqual([1, 2, 3, 4, 5, 6].map((n) => `evt_${n}`))
})

test("what is urgent does not wait for others under way", () => {
  const { box, mail } = outbox({ flights: 1 })
  box.event(event(1), false)
  box.event(event(2), false)

  box.event(event(3), true)

  expect(mail.told()).toEqual(["evt_1", "evt_2", "evt_3"])
})

test("a request holds no more events and bytes than it may", async () => {
  const { box, mail } = outbox({ batch: 10, batchBytes: 3000 })
  mail.up = false
  for (let n = 0; n < 25; n++) box.event(event(n), false)
  for (let n = 25; n < 30; n++) box.event(event(n, "x".repeat(1400)), false)
  mail.by = () => TAKEN
  mail.up = true

  box.pump()
  await until(() => box.size === 0)

  expect(mail.flights.map(({ params }) => params.events.length)).toEqual([10, 10, 7, 2, 1])
})

test("what was not acknowledged is told again in the old order when the bridge is back", async () => {
  const { box, mail } = outbox({ flights: 3 })
  for (const n of [1, 2, 3]) box.event(event(n), false)
  box.event(event(4), false)

  mail.up = false
  for (const flight of [...mail.flights].reverse()) flight.answer({ kind: "lost" })
  await until(() => mail.wanted > 0)
  expect(box.size).toBe(4)
  mail.flights.length = 0
  mail.by = () => TAKEN
  mail.up = true
  box.pump()
  await until(() => box.size === 0)

  expect(mail.told()).toEqual([1, 2, 3, 4].map((n) => `evt_${n}`))
})

test("what the bridge failed at is told again, a few times, and then counted as lost", async () => {
  const { box, mail, client } = outbox({ tries: 3 })
  const failed: Answer = { kind: "result", result: { received: 1, failed: 1, note: "the disk is full" } }
  mail.by = () => failed

  box.event(event(1), false)
  await until(() => box.size === 0)

  expect(mail.flights).toHaveLength(3)
  expect(client.said("1 so far; the disk is full")).toBe(1)
})

test("a hook that failed is told again until it is taken", async () => {
  const { box, mail } = outbox()
  mail.by = () => ({ kind: "result", result: { outcome: mail.flights.length < 3 ? "failed" : "duplicate" } })

  box.hook("tool.execute.after", "{}")
  await until(() => box.size === 0)

  expect(mail.flights).toHaveLength(3)
})

test("a bridge that is out of order for a while gets it later", async () => {
  const { box, mail } = outbox()
  mail.by = () => (mail.flights.length < 3 ? refused(-32001) : TAKEN)

  box.event(event(1), false)
  await until(() => box.size === 0)

  expect(mail.flights).toHaveLength(3)
})

test("one event that the bridge can't take does not take the others along", async () => {
  const { box, mail } = outbox({ flights: 1, urgentFlights: 1 })
  mail.up = false
  for (const n of [1, 2, 3]) box.event(event(n), false)
  mail.by = ({ params }) => (params.events.some(({ event: { id } }: Json) => id === "evt_2") ? refused(-32602) : TAKEN)
  mail.up = true

  box.pump()
  await until(() => box.size === 0)

  expect(mail.flights.map(({ params }) => params.events.map(({ event: { id } }: Json) => id))).toEqual([
    ["evt_1", "evt_2", "evt_3"],
    ["evt_1"],
    ["evt_2"],
    ["evt_3"],
  ])
})

test("a bridge that does not know a method is not told it again, and nothing breaks", async () => {
  const { box, mail, client } = outbox()
  mail.by = ({ request }) => (request.method === "event" ? refused(-32601) : TAKEN)

  for (const n of [1, 2]) box.event(event(n), false)
  box.hook("tool.execute.after", "{}")
  await until(() => box.size === 0)

  expect(mail.flights).toHaveLength(3)
  expect(client.said("does not know a method")).toBe(1)
})

test("word of withheld blocks names session, messages and place", () => {
  const { box, mail } = outbox()

  box.withheld("ses_1", ["msg_1", "msg_2"])

  expect(mail.flights[0]?.request.method).toBe("withheld")
  expect(mail.flights[0]?.params).toEqual({ session_id: "ses_1", message_ids: ["msg_1", "msg_2"], cwd: "/w" })
})

test("too much for the memory goes to the command in one batch", async () => {
  const { box, mail, command } = outbox({ items: 5 })
  mail.up = false
  for (const n of [1, 2, 3]) box.event(event(n), false)
  box.withheld("ses_1", ["msg_1"])
  box.hook("tool.execute.after", '{"input":{"tool":"write"}}')
  expect(command.given).toHaveLength(0)

  box.event(event(4), false)

  const lines = (command.given[0] ?? "").trimEnd().split("\n").map((line) => JSON.parse(line) as Json)
  expect(lines.map((line) => line.event?.id ?? line.hook)).toEqual(["evt_1", "evt_2", "evt_3", "tool.execute.after", "evt_4"])
  expect(lines[3]).toEqual({ hook: "tool.execute.after", payload: { input: { tool: "write" } }, at: expect.any(Number) })
  expect(box.size).toBe(1)
})

test.each([
  ["it is refused", { takes: false }],
  ["it may not be used", { mayIngest: false }],
])("without the command the newest stay: %s", async (_, state) => {
  const { box, mail, command, client } = outbox({ items: 5 })
  Object.assign(command, state)
  mail.up = false

  for (let n = 0; n < 12; n++) box.event(event(n), false)
  await until(() => box.size === 5)
  mail.by = () => TAKEN
  mail.up = true
  box.pump()
  await until(() => box.size === 0)

  expect(mail.told()).toEqual([7, 8, 9, 10, 11].map((n) => `evt_${n}`))
  expect(client.said("events were dropped")).toBe(1)
})

test("bytes are bounded too", async () => {
  const { box, mail, command } = outbox({ bytes: 10_000 })
  command.mayIngest = false
  mail.up = false

  for (let n = 0; n < 10; n++) box.event(event(n, "ü".repeat(1000)), false)

  expect(box.size).toBe(4)
})

test("at the end all is told that the bridge takes, and the command gets the rest", async () => {
  const { box, mail, command } = outbox()
  box.event(event(1), false)
  const drained = box.drain(() => false)
  expect(box.size).toBe(1)
  mail.flights[0]?.answer(TAKEN)
  await drained
  expect(command.given).toHaveLength(0)

  mail.up = false
  box.event(event(2), false)
  await box.drain(() => false)

  expect(command.given).toHaveLength(1)
  expect(box.size).toBe(0)
})
