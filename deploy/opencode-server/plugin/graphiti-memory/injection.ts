/** Gives each message its block of memory, once and for ever.
 *
 * A model's provider caches the beginning of a conversation: what a message was sent with, it is
 * sent with again, byte for byte, whatever has become of the bridge. Only the newest may go without. */

import type { Bridge } from "./bridge.ts"
import { Blocks } from "./blocks.ts"
import { chatPayload, encoded, fields, HELPERS, isTyped } from "./events.ts"
import type { Outbox } from "./outbox.ts"
import type { Place } from "./settings.ts"

/** Added to the bridge's own deadline, for the way there and back. */
const MARGIN_MS = 50
/** A compaction's messages follow its hook at once; a flag that was not taken down counts no longer. */
const COMPACTING_MS = 10_000
const MOST_SESSIONS = 1000
/** How OpenCode's own requests begin. */
const TITLE = /^You are a title generator\b/
const SUMMARY = /^You are a (?:context summarization agent|helpful AI assistant tasked with summarizing)\b/

interface Message {
  readonly info: { readonly id: string; readonly sessionID: string; readonly role: string }
  readonly parts: unknown[]
}

/** What the rest of the plugin knows. */
export interface Around {
  /** Where blocks go now; "off": nowhere. */
  place(): Place
  /** The bridge's deadline for a question, in ms. */
  deadline(): number
  /** A session's parent, "" for none; undefined when that could not be found out. */
  parent(session: string, until: number): Promise<string | undefined>
  /** Fields of every request that say where it comes from, as JSON. */
  readonly where: string
}

export class Injection {
  private readonly blocks = new Blocks()
  private readonly compacting = new Map<string, number>()
  /** The block of each session's latest message, for the system prompt. */
  private readonly latest = new Map<string, string>()

  constructor(
    private readonly bridge: Bridge,
    private readonly outbox: Outbox,
    private readonly around: Around,
  ) {}

  /** A person's message, before it is stored: what memory has to say to it. */
  async message(session: string, message: { id: string; agent?: string }, parts: readonly unknown[]): Promise<void> {
    if (this.around.place() === "off" || HELPERS.has(message.agent ?? "")) return
    const until = this.until()
    if ((await this.around.parent(session, until)) !== "") return
    await this.asked(session, message, parts, until, false)
  }

  /** The messages of a request; those of a conversation that is not a person's are left alone. */
  async messages(messages: Message[]): Promise<void> {
    const asking = messages.filter(({ info, parts }) => info.role === "user" && parts.some(isTyped))
    const session = messages[0]?.info.sessionID
    if (session === undefined || this.takeFlag(session) || this.around.place() === "off") return
    const until = this.until()
    if ((await this.around.parent(session, until)) !== "") return
    await this.learn(session, messages, asking, until)
    const blocks = asking.map(({ info }) => this.blocks.get(session, info.id) ?? "")
    if (this.around.place() === "message") asking.forEach((message, index) => add(message, blocks[index] ?? ""))
    else this.remember(session, blocks.at(-1) ?? "")
  }

  /** The system prompt of a request. */
  system(session: string | undefined, system: string[]): void {
    const first = system[0] ?? ""
    if (SUMMARY.test(first) && session !== undefined) this.compacting.delete(session)
    if (session === undefined || TITLE.test(first) || SUMMARY.test(first) || this.around.place() !== "system") return
    const block = this.latest.get(session) ?? ""
    if (block !== "" && !system.includes(block)) system.push(block)
  }

  /** The session's next messages are for its summary. */
  compact(session: string): void {
    this.compacting.set(session, Date.now())
  }

  forget(session: string): void {
    this.blocks.drop(session)
    this.compacting.delete(session)
    this.latest.delete(session)
  }

  private until(): number {
    return Date.now() + this.around.deadline() + MARGIN_MS
  }

  private takeFlag(session: string): boolean {
    const since = this.compacting.get(session)
    this.compacting.delete(session)
    return since !== undefined && Date.now() - since < COMPACTING_MS
  }

  private remember(session: string, block: string): void {
    this.latest.delete(session)
    this.latest.set(session, block)
    const [oldest] = this.latest.keys()
    if (this.latest.size > MOST_SESSIONS && oldest !== undefined) this.latest.delete(oldest)
  }

  /** Finds out about messages that nobody has asked about here: the newest anew, the others again. */
  private async learn(session: string, messages: Message[], asking: Message[], until: number): Promise<void> {
    const unknown = asking.filter(({ info }) => this.blocks.get(session, info.id) === undefined)
    if (unknown.length === 0) return
    const newest = messages.findLast(({ info }) => info.role === "user")
    const earlier = unknown.filter((message) => message !== newest).map(({ info }) => info.id)
    const work = earlier.length > 0 ? [this.replayed(session, earlier, until)] : []
    if (newest !== undefined && unknown.includes(newest)) work.push(this.asked(session, newest.info, newest.parts, until, true))
    await Promise.all(work)
  }

  /** `last`: it is sent now, with or without. */
  private async asked(session: string, message: { id: string }, parts: readonly unknown[], until: number, last: boolean): Promise<void> {
    const payload = encoded(chatPayload(session, message, parts))
    const params = `{"name":"chat.message","payload":${payload},"at":${Date.now() / 1000},${this.around.where}}`
    const answer = await this.bridge.ask({ method: "hook", hook: "chat.message", params }, until)
    if (answer.kind === "unsent" && !last) return // a bridge that is about to come may be there in time
    const told = answer.kind === "result" ? fields(answer.result)["context"] : undefined
    const block = typeof told === "string" ? told : ""
    this.blocks.set(session, message.id, block)
    // It may have been answered to nobody.
    if (answer.kind === "late" || answer.kind === "lost") this.outbox.withheld(session, [message.id])
  }

  private async replayed(session: string, messages: string[], until: number): Promise<void> {
    const payload = JSON.stringify({ session_id: session, message_ids: messages })
    const params = `{"name":"context:replay","payload":${payload},${this.around.where}}`
    const answer = await this.bridge.ask({ method: "hook", hook: "context:replay", params }, until)
    const reply = answer.kind === "result" ? fields(answer.result) : {}
    const told = fields(reply["blocks"])
    for (const message of messages) {
      const block = told[message]
      this.blocks.set(session, message, typeof block === "string" ? block : "")
    }
    if (reply["outcome"] !== "accepted" && reply["outcome"] !== "disabled") this.outbox.withheld(session, messages)
  }
}

/** A part of its own behind the message's; it is never stored, for this is a copy of what is. */
function add({ info, parts }: Message, text: string): void {
  const id = `prt_memory_${info.id}`
  if (text === "" || parts.some((part) => fields(part)["id"] === id)) return
  parts.push({ id, sessionID: info.sessionID, messageID: info.id, type: "text", text, synthetic: true })
}
