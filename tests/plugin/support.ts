/** A bridge under the test's control, an OpenCode that remembers what it is told, and waiting. */

import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import type { Server, Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach } from "bun:test"
import plugin from "../../deploy/opencode-server/plugin/graphiti-memory.ts"
import { Lines } from "../../deploy/opencode-server/plugin/graphiti-memory/line.ts"

export type Json = any // eslint-disable-line @typescript-eslint/no-explicit-any

/** What the fake answers; SILENT: nothing, ever. */
export const SILENT = Symbol("silent")
export interface Asked {
  readonly id: number
  readonly method: string
  readonly params: Json
}
type Answers = (asked: Asked) => Json

export const HELLO = {
  version: "9.9.9",
  protocol: 1,
  cache: { kind: "tcp", at: "localhost:6380", up: true },
  inject: "message",
  disabled: false,
  chat_deadline_ms: 20_000,
  hook_deadline_ms: 250,
  tools: true,
  opted_out: false,
}

const cleanups: (() => unknown)[] = []
export const later = (work: () => unknown): void => void cleanups.push(work)
afterEach(async () => {
  for (const work of cleanups.splice(0).reverse()) await work()
})

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "ogm-p-"))
  later(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** Waits until the condition holds, and gives what it gave. */
export async function until<T>(condition: () => T, what = condition.toString()): Promise<NonNullable<T>> {
  const end = Date.now() + 15_000
  for (;;) {
    const given = condition()
    if (given) return given as NonNullable<T>
    if (Date.now() > end) throw new Error(`never: ${what}`)
    await new Promise((settle) => setTimeout(settle, 1))
  }
}

/** A bridge: takes any request, and answers what `answers` says (a promise: when it settles). */
export class FakeBridge {
  readonly asked: Asked[] = []
  readonly sockets = new Set<Socket>()
  connections = 0
  /** Bytes of each piece that an answer is sent in; 0: whole. */
  pieces = 0
  /** Whether it reads what it is sent. */
  reads = true
  private server: Server | undefined

  constructor(
    readonly path: string,
    public answers: Answers = () => ({}),
  ) {}

  async listen(): Promise<this> {
    rmSync(this.path, { force: true })
    const server = createServer((socket) => this.joined(socket))
    this.server = server
    await new Promise<void>((settle) => server.listen(this.path, settle))
    later(() => this.stop())
    return this
  }

  /** Dies as a killed process does: nothing more is answered, its socket's file stays. */
  async stop(): Promise<void> {
    const server = this.server
    this.server = undefined
    this.hangUp()
    if (server !== undefined) await new Promise((settle) => server.close(settle))
  }

  hangUp(): void {
    for (const socket of this.sockets) socket.destroy()
    this.sockets.clear()
  }

  of(method: string): Asked[] {
    return this.asked.filter((asked) => asked.method === method)
  }

  hooks(name: string): Json[] {
    return this.of("hook").map(({ params }) => params).filter((params) => params.name === name)
  }

  /** Every event that was told, in the order of arrival. */
  events(): Json[] {
    return this.of("event").flatMap(({ params }) => params.events)
  }

  private joined(socket: Socket): void {
    this.connections += 1
    this.sockets.add(socket)
    const lines = new Lines(1 << 26)
    socket.on("error", () => undefined)
    socket.on("close", () => this.sockets.delete(socket))
    if (!this.reads) {
      socket.pause()
      return
    }
    socket.on("data", (chunk: Buffer) => {
      for (const line of lines.push(chunk)) void this.take(socket, JSON.parse(line) as Asked)
    })
  }

  private async take(socket: Socket, asked: Asked): Promise<void> {
    this.asked.push(asked)
    const given = await this.answers(asked)
    const result = given === undefined ? (asked.method === "hello" ? HELLO : { outcome: "accepted" }) : given
    if (result === SILENT || socket.destroyed) return
    const body = result?.error ? { error: result.error } : { result }
    this.send(socket, Buffer.from(`${JSON.stringify({ jsonrpc: "2.0", id: asked.id, ...body })}\n`))
  }

  send(socket: Socket, bytes: Buffer): void {
    const step = this.pieces || bytes.length
    for (let at = 0; at < bytes.length; at += step) socket.write(bytes.subarray(at, at + step))
  }
}

export async function fakeBridge(answers: Answers = () => undefined, path = join(folder(), "b.sock")): Promise<FakeBridge> {
  return new FakeBridge(path, answers).listen()
}

/** OpenCode's side: what was logged, and its sessions. */
export class FakeClient {
  readonly logged: { level: string; message: string }[] = []
  readonly sessions: Record<string, { id: string; parentID?: string }> = {}
  lookups = 0

  readonly app = {
    log: async ({ body }: Json) => {
      this.logged.push(body)
      return { data: true }
    },
  }
  readonly session = {
    get: async ({ path }: Json) => {
      this.lookups += 1
      return { data: this.sessions[path.id] ?? { id: path.id } }
    },
  }

  said(part: string): number {
    return this.logged.filter(({ message }) => message.includes(part)).length
  }
}

export interface Started {
  readonly hooks: Json
  readonly client: FakeClient
  readonly directory: string
}

/** The plugin as OpenCode loads it; its environment is this one alone. */
export async function started(env: Record<string, string>, options: Json = {}, directory = folder()): Promise<Started> {
  const client = new FakeClient()
  const kept = { ...process.env }
  for (const name of Object.keys(process.env)) if (/^(OPENCODE_|MEMORY_)/.test(name)) delete process.env[name]
  Object.assign(process.env, { OPENCODE_MEM_SOCKET: "/nonexistent/b.sock" }, env)
  try {
    const nowhere = { python: "/nonexistent/python", script: "/nonexistent/script" }
    const input = { client, directory, worktree: directory, project: { id: "p" } }
    const hooks: Json = await plugin.server(input as Json, { ...nowhere, ...options })
    later(() => hooks.dispose?.())
    return { hooks, client, directory }
  } finally {
    for (const name of ["OPENCODE_MEM_SOCKET", ...Object.keys(env)]) delete process.env[name]
    Object.assign(process.env, kept)
  }
}

/** The plugin with a bridge that it has greeted. */
export async function connected(answers?: Answers, env: Record<string, string> = {}): Promise<Started & { bridge: FakeBridge }> {
  const bridge = await fakeBridge(answers)
  const made = await started({ OPENCODE_MEM_SOCKET: bridge.path, ...env })
  await made.hooks.event({ event: { type: "plugin.added" } })
  await until(() => made.client.said("Valkey cache connected") > 0)
  return { ...made, bridge }
}

export const text = (said: string, more: Json = {}): Json => ({ type: "text", text: said, ...more })

/** A message as `chat.message` gives it and `messages.transform` again. */
export function message(id: string, said = `question ${id}`, session = "ses_1", role = "user"): Json {
  return { info: { id, sessionID: session, role, agent: "build" }, parts: [text(said, { id: `prt_${id}`, messageID: id })] }
}

export async function say(hooks: Json, given: Json): Promise<void> {
  await hooks["chat.message"]({ sessionID: given.info.sessionID }, { message: given.info, parts: given.parts })
}

/** What the model is sent for these messages: their texts, one list each. */
export async function sent(hooks: Json, messages: Json[]): Promise<string[][]> {
  const copy: Json[] = structuredClone(messages)
  await hooks["experimental.chat.messages.transform"]({}, { messages: copy })
  return copy.map(({ parts }) => parts.map((part: Json) => part.text))
}
