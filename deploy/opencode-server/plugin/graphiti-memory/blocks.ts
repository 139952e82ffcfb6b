/** Which block each message was given, "" for none. What is in it never changes; it is bounded, and
 * what was used longest ago goes first (the bridge's ledger still knows it). */

export interface Most {
  readonly sessions: number
  readonly messages: number
  readonly bytes: number
}

const MOST: Most = { sessions: 200, messages: 500, bytes: 16 * 1024 * 1024 }
/** What an entry takes beside its text. */
const ENTRY = 128

export class Blocks {
  private readonly sessions = new Map<string, Map<string, string>>()
  private bytes = 0

  constructor(private readonly most: Most = MOST) {}

  /** The message's block; undefined when it was never asked for. */
  get(session: string, message: string): string | undefined {
    const known = this.sessions.get(session)
    const block = known?.get(message)
    if (known !== undefined && block !== undefined) {
      // The newest stand last.
      known.delete(message)
      known.set(message, block)
    }
    return block
  }

  /** The first word stands. */
  set(session: string, message: string, block: string): void {
    const known = this.sessions.get(session) ?? new Map<string, string>()
    this.sessions.delete(session)
    this.sessions.set(session, known)
    if (known.has(message)) return
    known.set(message, block)
    this.bytes += size(block)
    if (known.size > this.most.messages) this.forget(session, known)
    while (this.bytes > this.most.bytes || this.sessions.size > this.most.sessions) {
      const [oldest] = this.sessions
      if (oldest === undefined) break
      this.forget(...oldest)
    }
  }

  drop(session: string): void {
    for (const block of this.sessions.get(session)?.values() ?? []) this.bytes -= size(block)
    this.sessions.delete(session)
  }

  private forget(session: string, known: Map<string, string>): void {
    const [oldest] = known
    if (oldest !== undefined) {
      known.delete(oldest[0])
      this.bytes -= size(oldest[1])
    }
    if (known.size === 0 || this.sessions.size > this.most.sessions) this.drop(session)
  }
}

const size = (block: string): number => ENTRY + 2 * block.length
