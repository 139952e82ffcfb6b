/** Which of OpenCode's events and payloads are told, and what of them. Pure.
 *
 * What is left out here is only what nobody reads there: deltas, states, attachments, whole turns'
 * diffs. What an event means is the bridge's to say. */

type Fields = Record<string, unknown>

/** The longest thing that is told whole, in UTF-8 bytes, and what is kept of a longer text in it. */
const MOST = 512 * 1024
const KEPT = [128 * 1024, 16 * 1024, 1024] as const
const INFO = [
  ...["id", "sessionID", "role", "parentID", "time", "agent", "mode", "modelID", "providerID", "model"],
  ...["tokens", "cost", "finish", "error"],
]
const SESSION = ["id", "parentID", "projectID", "directory", "title", "version", "time"]
const STATE = ["status", "input", "output", "error", "title", "metadata", "time"]
/** Told at once: nothing may come after them. */
const URGENT = new Set(["session.idle", "session.error", "session.deleted"])
/** What a compaction or a program adds is nobody's words. */
export const HELPERS = new Set(["title", "compaction", "summary"])

export const isUrgent = (type: string): boolean => URGENT.has(type)

/** What is told of this event; undefined: nothing. */
export function toldOf(event: unknown): Fields | undefined {
  const { id, type, properties } = fields(event)
  const given = fields(properties)
  switch (type) {
    case "session.created":
    case "session.deleted":
      return { id, type, properties: { sessionID: given["sessionID"], info: some(given["info"], SESSION) } }
    case "session.error":
    case "session.idle":
      return { id, type, properties: given }
    case "session.status":
      return fields(given["status"])["type"] === "retry" ? { id, type, properties: given } : undefined
    case "message.updated": {
      const info: Fields = some(given["info"], INFO)
      if (fields(given["info"])["summary"] === true) info["summary"] = true
      return { id, type, properties: { sessionID: given["sessionID"], info } }
    }
    case "message.part.updated": {
      const part = partOf(fields(given["part"]))
      if (part === undefined) return undefined
      return { id, type, properties: { sessionID: given["sessionID"], time: given["time"], part } }
    }
    default:
      return undefined
  }
}

function partOf(part: Fields): Fields | undefined {
  switch (part["type"]) {
    case "tool": {
      const state = fields(part["state"])
      if (state["status"] !== "completed" && state["status"] !== "error") return undefined
      return { ...part, state: some(state, STATE) }
    }
    case "text": {
      const time = fields(part["time"])
      const written = part["time"] === undefined || "end" in time
      return written && isTyped(part) ? part : undefined
    }
    case "patch":
    case "compaction":
      return part
    default:
      return undefined
  }
}

/** Whether somebody said it: parts that a program added are marked. */
export function isTyped(part: unknown): boolean {
  const { type, text, synthetic, ignored } = fields(part)
  return type === "text" && typeof text === "string" && text.trim() !== "" && !synthetic && !ignored
}

/** The payload of `tool.execute.after`. An MCP tool's output is `{content: […]}`, a subtask's nothing. */
export function toolPayload(input: unknown, output: unknown): Fields {
  const { title, output: said, metadata, content } = fields(output)
  const text = Array.isArray(content) ? content.map((part) => fields(part)["text"]).filter((part) => typeof part === "string") : []
  return {
    input: some(input, ["tool", "sessionID", "callID", "args"]),
    output: { title, output: said ?? (text.length > 0 ? text.join("\n") : undefined), metadata },
  }
}

/** The payload of `chat.message`: what was typed, and by whom it is answered. */
export function chatPayload(session: string, message: unknown, parts: readonly unknown[]): Fields {
  const { id, agent, model } = fields(message)
  return {
    input: { sessionID: session, messageID: id, agent, model },
    output: { message: { id }, parts: parts.filter(isTyped).map((part) => some(part, ["type", "text"])) },
  }
}

/** As JSON; of what is too long, the beginnings and ends of its long texts. */
export function encoded(value: Fields): string {
  const whole = JSON.stringify(value)
  if (Buffer.byteLength(whole) <= MOST) return whole
  let shorter = whole
  for (const kept of KEPT) {
    shorter = JSON.stringify(value, (_, inner: unknown) => (typeof inner === "string" ? clipped(inner, kept) : inner))
    if (Buffer.byteLength(shorter) <= MOST) break
  }
  return shorter
}

/** Cut at ends of lines, so that no secret is cut in half; what a private passage may reach is left out. */
function clipped(text: string, kept: number): string {
  if (text.length <= kept) return text
  const head = text.slice(0, text.lastIndexOf("\n", kept / 2) + 1)
  const from = text.indexOf("\n", text.length - kept / 2)
  const tail = from < 0 || /private/i.test(text.slice(head.length, from)) ? "" : text.slice(from)
  return `${head}[… ${text.length - head.length - tail.length} characters …]${tail}`
}

export const fields = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {})

const some = (value: unknown, names: readonly string[]): Fields => {
  const given = fields(value)
  return Object.fromEntries(names.filter((name) => given[name] !== undefined).map((name) => [name, given[name]]))
}
