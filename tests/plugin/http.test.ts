/** The same over HTTP: OPENCODE_MEM_URL names the bridge, a token opens it. */

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "bun:test"
import { folder, HELLO, later, message, say, sent, started, until } from "./support.ts"
import type { Json } from "./support.ts"

const idle = { event: { id: "evt_1", type: "session.idle", properties: { sessionID: "ses_1" } } }

interface Asked {
  readonly path: string
  readonly token: string | null
  readonly body: Json
}

function site(answers: (path: string, body: Json) => Json = () => undefined, port = 0) {
  const asked: Asked[] = []
  const server = Bun.serve({
    port,
    hostname: "127.0.0.1",
    async fetch(request) {
      const path = decodeURIComponent(new URL(request.url).pathname)
      const body: Json = request.method === "POST" ? await request.json() : undefined
      asked.push({ path, token: request.headers.get("authorization"), body })
      const given = await answers(path, body)
      if (given instanceof Response) return given
      return Response.json(given ?? (path === "/api/plugin/hello" ? HELLO : { outcome: "accepted" }))
    },
  })
  later(() => server.stop(true))
  return { asked, server, url: `http://127.0.0.1:${server.port}`, of: (path: string) => asked.filter((one) => one.path === path) }
}

const refusal = (status: number, said: string): Response => Response.json({ error: { code: "x", message: said } }, { status })

test("hooks, events and the tool go to their routes, with the token", async () => {
  const { url, asked, of } = site((path) =>
    path === "/api/hooks/chat.message" ? { outcome: "injected", context: "[Memory Context]" } : path === "/api/tool" ? { text: "told" } : undefined,
  )
  const { hooks, directory } = await started({ OPENCODE_MEM_URL: `${url}/`, OPENCODE_MEM_TOKEN: "secret" })

  await say(hooks, message("msg_1"))
  await hooks.event(idle)
  await hooks["tool.execute.after"]({ tool: "write", sessionID: "ses_1", callID: "c" }, {})
  expect((await hooks.tool.memory.execute({ tool: "recall", args: {} }, { sessionID: "ses_1" })).output).toBe("told")
  await until(() => of("/api/plugin/events").length && of("/api/hooks/tool.execute.after").length)

  expect(await sent(hooks, [message("msg_1")])).toEqual([["question msg_1", "[Memory Context]"]])
  expect(new Set(asked.map(({ token }) => token))).toEqual(new Set(["Bearer secret"]))
  expect(of("/api/plugin/events")[0]?.body).toMatchObject({ events: [{ event: idle.event }], cwd: directory })
})

test("the token may stand in a file, and a new one is read", async () => {
  const file = join(folder(), "token")
  writeFileSync(file, "first\n")
  const { url, of, asked } = site()
  const { hooks } = await started({ OPENCODE_MEM_URL: url, OPENCODE_MEM_DATA_DIR: "/nonexistent", OPENCODE_MEM_TOKEN_FILE: file })
  await until(() => of("/api/plugin/hello").length)

  writeFileSync(file, "second\n")
  await hooks.event(idle)
  await until(() => of("/api/plugin/events").length)

  expect(asked.at(-1)?.token).toBe("Bearer second")
})

test("a wrong token is said once, and nothing more is asked", async () => {
  const { url, of, asked } = site(() => refusal(401, "the token is wrong"))
  const { hooks, client } = await started({ OPENCODE_MEM_URL: url, OPENCODE_MEM_TOKEN: "wrong" })
  await until(() => of("/api/plugin/hello").length)

  await say(hooks, message("msg_1"))
  await hooks.event(idle)
  await until(() => client.said("the token is wrong"))

  expect(asked.map(({ path }) => path)).toEqual(["/api/plugin/hello"])
})

test("nothing is started for a bridge elsewhere, and what waits is told when it is back", async () => {
  const first = site()
  const port = first.server.port
  const { hooks } = await started({ OPENCODE_MEM_URL: first.url, OPENCODE_MEM_TOKEN: "t" }, { python: "/bin/false", script: "x" })
  await until(() => first.of("/api/plugin/hello").length)
  await say(hooks, message("msg_1"))
  await first.server.stop(true)

  await hooks.event(idle)
  await say(hooks, message("msg_2"))
  const second = site(undefined, port)

  await until(() => second.of("/api/plugin/events").length)
  expect(second.of("/api/plugin/events")[0]?.body.events[0].event.id).toBe("evt_1")
})

test("a bridge that can't take it just now is told again", async () => {
  let full = true
  const { url, of } = site((path) => (path === "/api/plugin/events" && full ? refusal(507, "the disk is full") : undefined))
  const { hooks } = await started({ OPENCODE_MEM_URL: url, OPENCODE_MEM_TOKEN: "t" })

  await hooks.event(idle)
  await until(() => of("/api/plugin/events").length)
  full = false

  await until(() => of("/api/plugin/events").length === 2)
})
