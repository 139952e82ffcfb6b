/** The plugin's life in OpenCode: it comes at once, says little, and leaves nothing behind. */

import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "bun:test"
import plugin from "../../deploy/opencode-server/plugin/graphiti-memory.ts"
import { connected, fakeBridge, folder, HELLO, message, say, SILENT, started, until } from "./support.ts"
import type { Json } from "./support.ts"

const idle = { event: { id: "evt_1", type: "session.idle", properties: { sessionID: "ses_1" } } }

/** A command that writes down what it is given, and does what the shell lines say. */
function command(lines: string): { options: Json; given: (name: string) => string; calls: () => string[] } {
  const place = folder()
  const script = join(place, "command.sh")
  writeFileSync(script, `echo "$1" >> ${place}/calls\ncat > ${place}/$1.in\n${lines}\n`)
  chmodSync(script, 0o700)
  const given = (name: string): string => (existsSync(join(place, name)) ? readFileSync(join(place, name), "utf8") : "")
  return { options: { python: "/bin/sh", script }, given, calls: () => given("calls").trim().split("\n").filter(Boolean) }
}

test("it is a module as OpenCode wants it: an id, a server, nothing else", async () => {
  const all = await import("../../deploy/opencode-server/plugin/graphiti-memory.ts")

  expect(Object.keys(all)).toEqual(["default"])
  expect(plugin.id).toBe("graphiti-memory")
})

test("it asks OpenCode nothing before a hook is called, and then says that it is there", async () => {
  const { hooks, client } = await started({})
  expect(client.logged).toEqual([])

  await hooks.event({ event: { type: "plugin.added" } })
  await until(() => client.said("loaded"))

  expect(client.logged[0]).toEqual({ service: "graphiti-memory", level: "info", message: "🧠 Graphiti Memory Plugin loaded" } as Json)
})

test.each([
  ["tcp", "cache.local:6380", "📦 Valkey cache connected at cache.local:6380"],
  ["socket", "/run/v.sock", "📦 Valkey cache connected at /run/v.sock (embedded)"],
])("the cache at a %s is told once, also when the bridge comes again", async (kind, at, line) => {
  const { bridge, client } = await connected(({ method }) => (method === "hello" ? { ...HELLO, cache: { kind, at, up: true } } : undefined))

  bridge.hangUp()
  await until(() => bridge.of("hello").length === 2)

  expect(client.logged.map((entry) => entry.message).filter((said) => said.includes("📦"))).toEqual([line])
})

test("switched off, it is no plugin at all", async () => {
  const { hooks } = await started({ OPENCODE_MEM_DISABLED: "1" })

  expect(hooks).toEqual({})
})

test.each([".opencode-mem-off", ".opencode/memory-off"])("in a project with %s there is no memory, until it is taken away", async (name) => {
  const directory = folder()
  mkdirSync(join(directory, ".opencode"))
  writeFileSync(join(directory, name), "")
  const bridge = await fakeBridge()
  const { hooks, client } = await started({ OPENCODE_MEM_SOCKET: bridge.path }, {}, directory)

  await hooks.event(idle)
  await hooks["tool.execute.after"]({ tool: "write", sessionID: "s", callID: "c" }, {})
  await say(hooks, message("msg_1"))
  expect(await hooks.tool.memory.execute({ tool: "recall", args: {} }, { sessionID: "s" })).toMatchObject({ output: expect.stringContaining("switched off") })
  await until(() => client.said("switched off in this project"))
  expect(bridge.connections).toBe(0)

  rmSync(join(directory, name))
  await until(() => (void hooks.event(idle), bridge.events().length))
  expect(bridge.asked[0]?.method).toBe("hello")
})

test("a project whose bridge sees that it wants no memory is left alone", async () => {
  const { hooks, bridge } = await connected(({ method }) => (method === "hello" ? { ...HELLO, opted_out: true } : undefined))

  await hooks.event(idle)
  await say(hooks, message("msg_1"))
  await hooks.dispose()

  expect(bridge.asked.map(({ method }) => method)).toEqual(["hello"])
})

test("events and tools are told with their place and time", async () => {
  const { hooks, bridge, directory } = await connected(undefined, { OPENCODE_MEM_PROJECT: "shop" })

  await hooks.event(idle)
  await hooks["tool.execute.after"]({ tool: "write", sessionID: "ses_1", callID: "c", args: { filePath: "a" } }, undefined)
  await hooks["tool.execute.after"]({ tool: "memory", sessionID: "ses_1", callID: "d", args: {} }, { output: "…" })
  await hooks.event({ event: { type: "message.part.delta", properties: {} } })
  await until(() => bridge.of("hook").length)

  expect(bridge.of("event")[0]?.params).toEqual({
    events: [{ event: idle.event, at: expect.any(Number) }],
    origin: "live",
    cwd: directory,
    project: "shop",
  })
  expect(bridge.hooks("tool.execute.after")).toHaveLength(1)
  expect(bridge.events()).toHaveLength(1)
})

test("nothing that OpenCode hands over makes a hook fail", async () => {
  const { hooks } = await connected()
  const odd: Json[] = [undefined, null, 1, {}, [], { event: null }, { event: { get type() { throw new Error("odd") } } }]

  for (const name of Object.keys(hooks).filter((known) => !["tool", "dispose"].includes(known)))
    for (const input of odd) for (const output of odd) {
      if (input === undefined || input === null) continue
      await hooks[name](input, output)
    }
})

test("the commands are added, and the person's own of the same name are left alone", async () => {
  const { hooks } = await started({})
  const own = { template: "mine" }
  const config: Json = { command: { memory: own, other: own } }

  await hooks.config(config)

  expect(config.command.memory).toBe(own)
  expect(Object.keys(config.command).sort()).toEqual(["memory", "other", "remember"])
  expect(config.command.remember.template).toContain("$ARGUMENTS")
})

test("the tool gives the model what the bridge says, and never fails", async () => {
  let answer: Json = { text: "We decided on Decimal." }
  const { hooks, bridge } = await connected(({ method }) => (method === "tool" ? answer : undefined))
  const call = async (): Promise<string> =>
    (await hooks.tool.memory.execute({ tool: "recall", args: { query: "money" } }, { sessionID: "ses_1", callID: "call_1" })).output

  expect(await call()).toBe("We decided on Decimal.")
  expect(bridge.of("tool")[0]?.params).toMatchObject({ tool: "recall", args: { query: "money" }, session_id: "ses_1", event_id: "ses_1:call_1:note" })
  answer = { error: { code: -32602, message: "query: missing" } }
  expect(await call()).toBe("Not done: query: missing")
  answer = { error: { code: -32601, message: "no such method" } }
  expect(await call()).toContain("cannot be reached")
  bridge.hangUp()
  answer = { text: "here again" }
  expect(await call()).toBe("here again")
})

test("the tool can be left out", async () => {
  const { hooks } = await started({}, { tools: false })

  expect(hooks.tool).toBeUndefined()
})

test("a bridge is started behind OpenCode's back, and its socket learnt from the command", async () => {
  const bridge = await fakeBridge()
  const { options, calls } = command(`echo '{"socket": "${bridge.path}", "pid": 1, "version": "1", "url": null}'`)

  const { hooks } = await started({}, options)
  await say(hooks, message("msg_1"))

  expect(calls()).toEqual(["ensure"])
  expect(bridge.hooks("chat.message")).toHaveLength(1)
})

test("with a bridge at a known socket nothing is started at all", async () => {
  const { options, calls } = command("exit 0")
  const bridge = await fakeBridge()

  await started({ OPENCODE_MEM_SOCKET: bridge.path }, options)
  await until(() => bridge.of("hello").length)

  expect(calls()).toEqual([])
})

test("when no bridge can be started the command takes what there is, once, and then it is quiet", async () => {
  const directory = folder()
  const { options, calls, given } = command(
    `[ "$1" = ensure ] || exit 0; while [ ! -e ${directory}/go ]; do sleep 0.01; done; echo "no python" >&2; exit 3`,
  )

  const { hooks, client } = await started({}, options, directory)
  await hooks.event(idle)
  writeFileSync(join(directory, "go"), "")
  await until(() => given("ingest.in").endsWith("\n"))
  for (let count = 0; count < 5; count++) await say(hooks, message(`msg_${count}`))

  expect(JSON.parse(given("ingest.in"))).toEqual({ event: idle.event, at: expect.any(Number) })
  expect(calls()).toEqual(["ensure", "ingest"])
  expect(client.said("no bridge could be started: no python")).toBe(1)
})

test("told to start nothing but the bridge, it hands nothing to the command", async () => {
  const { options, calls } = command("exit 3")
  const { hooks, client } = await started({ OPENCODE_MEM_DISABLE_CLI_INGEST: "1" }, options)
  await hooks.event(idle)
  await until(() => client.said("no bridge could be started"))

  await hooks.dispose()

  expect(calls()).toEqual(["ensure"])
})

test("at the end what waits is told, the line is closed, and hooks do nothing any more", async () => {
  const held: ((given: Json) => void)[] = []
  const { hooks, bridge } = await connected(({ method }) => (method === "event" ? new Promise((settle) => held.push(settle)) : undefined))
  await hooks.event(idle)
  await until(() => bridge.events().length === 1)
  await hooks.event({ event: { ...idle.event, id: "evt_2" } })

  const ended = hooks.dispose()
  await until(() => bridge.events().length === 2)
  for (const release of held) release({ failed: 0 })
  await ended

  await until(() => bridge.sockets.size === 0)
  await hooks.event(idle)
  await say(hooks, message("msg_1"))
  await hooks.dispose()
  expect(bridge.hooks("chat.message")).toHaveLength(0)
})

test("the end waits for a hanging bridge no longer than it may", async () => {
  const { hooks } = await connected(({ method }) => (method === "hello" ? undefined : SILENT))
  await hooks.event(idle)

  await hooks.dispose()
})

test("the end kills a start that is still under way", async () => {
  const { options, calls, given } = command("echo $$ > $0.pid; exec sleep 600")
  const { hooks } = await started({}, options)
  await until(() => calls().length === 1)
  const pid = Number(await until(() => given("command.sh.pid")))

  await hooks.dispose()

  await until(() => !alive(pid))
})

function alive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return false
  }
}

test("several instances in one process know nothing of each other", async () => {
  const [one, two] = [await connected(), await connected()]

  await one.hooks.dispose()
  await two.hooks.event(idle)

  await until(() => two.bridge.events().length === 1)
  expect(one.bridge.events()).toHaveLength(0)
})

test("a folder that is gone keeps nothing from working", async () => {
  const directory = folder()
  const bridge = await fakeBridge()
  const { hooks } = await started({ OPENCODE_MEM_SOCKET: bridge.path }, {}, directory)
  rmSync(directory, { recursive: true })

  await hooks.event(idle)

  await until(() => bridge.events().length === 1)
})
