/**
 * OpenCode's hooks, told to the memory's bridge.
 *
 * A forwarder: what anything means, the bridge decides. What it never does: throw, hold up OpenCode's
 * start, let a turn wait longer than its deadline, change a prompt that was sent already, or keep
 * anything running. It imports types only; no package is needed at run time.
 */

import type { Hooks, Plugin, PluginInput } from "@opencode-ai/plugin"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { Bridge, sleep } from "./graphiti-memory/bridge.ts"
import type { About } from "./graphiti-memory/bridge.ts"
import { Children } from "./graphiti-memory/children.ts"
import { encoded, isUrgent, toldOf, toolPayload } from "./graphiti-memory/events.ts"
import { openHttp } from "./graphiti-memory/http.ts"
import { Injection } from "./graphiti-memory/injection.ts"
import { INVALID_PARAMS, UNKNOWN_METHOD } from "./graphiti-memory/line.ts"
import type { Line } from "./graphiti-memory/line.ts"
import { Log } from "./graphiti-memory/log.ts"
import { Outbox } from "./graphiti-memory/outbox.ts"
import { Parents } from "./graphiti-memory/sessions.ts"
import { optedOut, settingsOf, VERSION } from "./graphiti-memory/settings.ts"
import type { Place, Settings } from "./graphiti-memory/settings.ts"
import { openSocket } from "./graphiti-memory/socket.ts"
import { COMMANDS, memoryTool } from "./graphiti-memory/words.ts"
import type { Call } from "./graphiti-memory/words.ts"

const HERE = dirname(fileURLToPath(import.meta.url))
/** What OpenCode's end waits for us at most, in ms. */
const DISPOSE_MS = 2000
/** How long the model's call of the tool may take. */
const TOOL_MS = 20_000
/** How often a file is looked for that switches memory off. */
const LOOK_MS = 1000
/** When the cache was not there yet: how often it is asked about again. */
const CACHE_MS = [2000, 5000, 15_000, 60_000]

/** One instance: OpenCode makes one for each directory, and a new one after each reload. */
class Memory {
  private readonly log: Log
  private readonly children: Children
  private readonly bridge: Bridge
  private readonly outbox: Outbox
  private readonly parents: Parents
  private readonly injection: Injection
  private readonly where: string
  private socket: string
  private opencode = ""
  private pinned: Place | undefined
  private cacheTold = ""
  private cacheAsked = 0
  private off = false
  private looked = 0
  private begun = false
  private closed = false

  constructor(
    private readonly input: PluginInput,
    private readonly settings: Settings,
  ) {
    const { directory, client } = input
    this.log = new Log(client)
    this.socket = settings.socket
    this.where = JSON.stringify({ cwd: directory, ...(settings.project === "" ? {} : { project: settings.project }) }).slice(1, -1)
    this.children = new Children(settings.python, settings.script, directory, settings.cliIngest && settings.url === "", this.log)
    this.bridge = new Bridge((onLost, wanted) => this.open(onLost, wanted), () => this.greeting(), (about) => this.greeted(about), this.log)
    const mail = { ready: () => this.bridge.ready, want: () => this.bridge.want(), post: this.bridge.post.bind(this.bridge) }
    this.outbox = new Outbox(mail, this.children, this.where, this.log)
    this.parents = new Parents(client)
    this.injection = new Injection(this.bridge, this.outbox, {
      where: this.where,
      place: () => this.place(),
      deadline: () => this.bridge.about?.chatDeadlineMs ?? settings.chatDeadlineMs,
      parent: (session, until) => this.parents.of(session, until),
    })
    this.log.info("🧠 Graphiti Memory Plugin loaded")
    if (this.isOff()) this.log.info("memory is switched off in this project by a file of its own")
  }

  hooks(): Hooks {
    return {
      event: async ({ event }) => this.guarded("event", () => this.heard(event)),
      "chat.message": (input, output) =>
        this.awaited("chat.message", () => this.injection.message(input.sessionID, output.message, output.parts)),
      "tool.execute.after": async (input, output) => this.guarded("tool.execute.after", () => this.used(input, output)),
      "experimental.chat.messages.transform": (_, output) =>
        this.awaited("messages.transform", () => this.injection.messages(output.messages)),
      "experimental.chat.system.transform": async (input, output) =>
        this.guarded("system.transform", () => this.injection.system(input.sessionID, output.system)),
      "experimental.session.compacting": async (input) =>
        this.guarded("session.compacting", () => this.injection.compact(input.sessionID)),
      config: async (config) =>
        this.guarded("config", () => {
          config.command = { ...COMMANDS, ...config.command }
        }),
      ...(this.settings.tools ? { tool: { memory: memoryTool((call) => this.called(call)) } } : {}),
      dispose: () => this.dispose(),
    }
  }

  /** Tells what waits, for a moment; then nothing of us is left. */
  private async dispose(): Promise<void> {
    if (this.closed) return
    this.closed = true
    const held = setTimeout(() => undefined, DISPOSE_MS) // nothing else may keep OpenCode here
    try {
      await Promise.race([this.outbox.drain(() => this.bridge.starting), sleep(DISPOSE_MS)])
    } catch {
      // It is too late to say so.
    } finally {
      clearTimeout(held)
      this.bridge.close()
      this.children.kill()
    }
  }

  /** A hook's body, which must not fail for OpenCode. */
  private guarded(name: string, body: () => void): void {
    if (this.closed) return
    try {
      this.log.open()
      body()
    } catch (error) {
      this.log.error(name, String(error))
    }
  }

  /** The same for one that is waited for; its waits end by their own deadlines. */
  private async awaited(name: string, body: () => Promise<void>): Promise<void> {
    if (this.closed) return
    const held = setInterval(() => undefined, 1000) // all our own timers let OpenCode end
    try {
      this.log.open()
      await body()
    } catch (error) {
      this.log.error(name, String(error))
    } finally {
      clearInterval(held)
    }
  }

  private heard(event: { type: string }): void {
    const told = toldOf(event)
    if (told === undefined || this.isOff()) return
    const { info } = told["properties"] as { info?: { id?: string; parentID?: string; version?: string } }
    if (info?.id !== undefined && event.type === "session.created") {
      this.parents.note(info.id, info.parentID ?? "")
      this.opencode = info.version ?? this.opencode
    } else if (info?.id !== undefined && event.type === "session.deleted") {
      this.parents.forget(info.id)
      this.injection.forget(info.id)
    }
    this.outbox.event(encoded(told), isUrgent(event.type))
  }

  private used(input: { tool: string }, output: unknown): void {
    if (this.isOff() || input.tool === "memory") return
    this.outbox.hook("tool.execute.after", encoded(toolPayload(input, output)))
  }

  private async called(call: Call): Promise<string> {
    try {
      if (this.isOff() || this.closed) return "Memory is switched off in this project."
      const request = { method: "tool", params: `{${encoded({ ...call }).slice(1, -1)},${this.where}}` }
      let answer = await this.bridge.call(request, TOOL_MS)
      if (answer.kind === "lost") answer = await this.bridge.call(request, TOOL_MS)
      if (answer.kind === "result") return String((answer.result as { text?: unknown } | null)?.text ?? "")
      if (answer.kind === "refused" && answer.code === INVALID_PARAMS) return `Not done: ${answer.message}`
      if (answer.kind === "refused" && answer.code !== UNKNOWN_METHOD) return `Memory failed: ${answer.message}`
    } catch (error) {
      this.log.error("the tool memory", String(error))
    }
    return "Memory cannot be reached now; go on without it."
  }

  /** Where blocks go: as the bridge said first, for a change would rewrite what was sent. */
  private place(): Place {
    return this.isOff() ? "off" : (this.settings.inject ?? this.pinned ?? "message")
  }

  private isOff(): boolean {
    const now = Date.now()
    if (now - this.looked >= LOOK_MS) {
      this.looked = now
      this.off = optedOut(this.input.directory, this.input.worktree)
      if (!this.off && !this.begun) {
        this.begun = true
        this.bridge.start()
      }
    }
    return this.off || this.bridge.about?.optedOut === true
  }

  private greeting(): { method: string; params: string } {
    const { directory, worktree } = this.input
    const params = { directory, worktree, plugin: VERSION, opencode: this.opencode, pid: process.pid }
    return { method: "hello", params: JSON.stringify(params) }
  }

  private greeted(about: About): void {
    this.pinned ??= about.inject
    const { kind, at, up } = about.cache
    if (up && at !== this.cacheTold) {
      this.cacheTold = at
      this.log.info(`📦 Valkey cache connected at ${at}${kind === "socket" ? " (embedded)" : ""}`)
    } else if (!up) {
      const again = CACHE_MS[this.cacheAsked++]
      if (again !== undefined) setTimeout(() => void this.bridge.greet(), again).unref()
    }
    this.outbox.pump()
  }

  private async open(onLost: (why: string) => void, wanted: boolean): Promise<Line | undefined> {
    const { url, token } = this.settings
    if (url !== "") return openHttp(url, token, onLost)
    const line = await openSocket(this.socket, onLost)
    if (line !== undefined || !wanted || this.closed) return line
    const due = this.children.mayEnsure
    const found = await this.children.ensure()
    if (found !== undefined) {
      this.socket = found
      return openSocket(found, onLost)
    }
    // No bridge is to be had: the command takes what waits, once.
    if (due) void this.outbox.handOver()
    return undefined
  }
}

const server: Plugin = async (input, options) => {
  const settings = settingsOf(options ?? {}, { ...process.env }, HERE)
  return settings.disabled ? {} : new Memory(input, settings).hooks()
}

export default { id: "graphiti-memory", server }
