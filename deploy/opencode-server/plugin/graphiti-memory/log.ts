/** OpenCode's log, and nothing else: whatever is printed would stand in the middle of the TUI. */

import type { PluginInput } from "@opencode-ai/plugin"

type Level = "info" | "warn" | "error"
interface Entry {
  readonly level: Level
  readonly message: string
}

/** Lines kept until OpenCode can be asked, and how often the same trouble is told. */
const MOST = 50
const AGAIN_MS = 60_000

export class Log {
  private waiting: Entry[] | undefined = []
  private opening = false
  private readonly told = new Map<string, number>()

  constructor(private readonly client: PluginInput["client"]) {}

  /** OpenCode answers from now on; before that, asking it would wait for itself. */
  open(): void {
    if (this.opening) return
    this.opening = true
    // Not in the hook that says so: the turn comes first.
    setTimeout(() => {
      const waiting = this.waiting ?? []
      this.waiting = undefined
      for (const entry of waiting) this.send(entry)
    }, 0).unref()
  }

  info(message: string): void {
    this.add({ level: "info", message })
  }

  warn(message: string): void {
    this.add({ level: "warn", message })
  }

  /** Trouble: the same one is told once a minute. */
  error(what: string, details = ""): void {
    const now = Date.now()
    if (now - (this.told.get(what) ?? -AGAIN_MS) < AGAIN_MS) return
    if (this.told.size >= MOST) this.told.clear()
    this.told.set(what, now)
    this.add({ level: "error", message: `Memory plugin error: ${what}${details === "" ? "" : `: ${details}`}` })
  }

  private add(entry: Entry): void {
    if (this.waiting === undefined) this.send(entry)
    else if (this.waiting.length < MOST) this.waiting.push(entry)
  }

  private send({ level, message }: Entry): void {
    try {
      void this.client.app.log({ body: { service: "graphiti-memory", level, message } }).catch(() => undefined)
    } catch {
      // There is nowhere to say it.
    }
  }
}
