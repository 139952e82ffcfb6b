/** What is told and not asked: kept until the bridge has acknowledged it, within bounds.
 *
 * Ids make telling twice harmless, so whatever is doubtful is told again. When there is no bridge
 * and too much waits, the command takes it all in one batch. */

import { INVALID_PARAMS, UNKNOWN_METHOD } from "./line.ts"
import type { Answer, Request } from "./line.ts"
import type { Log } from "./log.ts"

/** Bounds of what waits, of one request, and of the requests under way. */
export interface Bounds {
  readonly items: number
  readonly bytes: number
  readonly batch: number
  readonly batchBytes: number
  readonly flights: number
  readonly urgentFlights: number
  /** Attempts that the bridge itself failed at, and ms after the first of them. */
  readonly tries: number
  readonly again: number
}

export const BOUNDS: Bounds = {
  items: 2000,
  bytes: 8 * 1024 * 1024,
  batch: 200,
  batchBytes: 900 * 1024,
  flights: 4,
  urgentFlights: 16,
  tries: 6,
  again: 1000,
}

/** One thing to tell; `json` is the event or the hook's payload. */
type Item = (
  | { readonly kind: "event"; readonly json: string }
  | { readonly kind: "hook"; readonly json: string; readonly hook: string }
  | { readonly kind: "withheld"; readonly json: string }
) & {
  readonly number: number
  readonly at: number
  readonly bytes: number
  tries: number
  notBefore: number
  alone: boolean
}

export interface Mail {
  ready(): boolean
  want(): void
  post(request: Request): Promise<Answer>
}

/** The way past the bridge. */
export interface Aside {
  readonly mayIngest: boolean
  ingest(lines: string): Promise<boolean>
}

export class Outbox {
  private waiting: Item[] = []
  private readonly flying = new Set<Item>()
  private flights = 0
  private bytes = 0
  private last = 0
  private handing: Promise<void> | undefined
  private lost = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private idle: (() => void)[] = []

  /** `where` are the fields of every request that say where it comes from, as JSON. */
  constructor(
    private readonly mail: Mail,
    private readonly aside: Aside,
    private readonly where: string,
    private readonly log: Log,
    private readonly bounds: Bounds = BOUNDS,
  ) {}

  get size(): number {
    return this.waiting.length + this.flying.size
  }

  event(json: string, urgent: boolean): void {
    this.add({ kind: "event", json, ...this.stamp(json) }, urgent)
  }

  hook(hook: string, json: string): void {
    this.add({ kind: "hook", hook, json, ...this.stamp(json) }, true)
  }

  /** These messages went to the model without their blocks. */
  withheld(session: string, messages: readonly string[]): void {
    const json = JSON.stringify({ session_id: session, message_ids: messages })
    this.add({ kind: "withheld", json, ...this.stamp(json) }, true)
  }

  /** Sends what may be sent now. */
  pump(urgent = false): void {
    const most = urgent ? this.bounds.urgentFlights : this.bounds.flights
    while (this.mail.ready() && this.flights < most) {
      const batch = this.take()
      if (batch.length === 0) break
      void this.fly(batch)
    }
    if (this.waiting.length > 0 && !this.mail.ready()) this.mail.want()
  }

  /** Resolves when nothing is left; what the bridge does not take, the command gets. */
  async drain(starting: () => boolean): Promise<void> {
    this.pump(true)
    while (this.size > 0 && (this.mail.ready() || starting())) {
      await new Promise<void>((settle) => {
        this.idle.push(settle)
        setTimeout(settle, 20).unref()
      })
      this.pump(true)
    }
    if (this.size > 0) await this.handOver()
    await this.handing
  }

  private stamp(json: string): Pick<Item, "number" | "at" | "bytes" | "tries" | "notBefore" | "alone"> {
    const bytes = Buffer.byteLength(json)
    return { number: ++this.last, at: Date.now() / 1000, bytes, tries: 0, notBefore: 0, alone: false }
  }

  private add(item: Item, urgent: boolean): void {
    this.waiting.push(item)
    this.bytes += item.bytes
    if (this.size > this.bounds.items || this.bytes > this.bounds.bytes) this.overflow()
    this.pump(urgent)
  }

  /** The next request's worth: one hook, or the events up to it. */
  private take(): Item[] {
    const now = Date.now()
    const start = this.waiting.findIndex((item) => item.notBefore <= now)
    const first = this.waiting[start]
    if (first === undefined) {
      this.wake(now)
      return []
    }
    let end = start + 1
    if (first.kind === "event" && !first.alone) {
      let bytes = first.bytes
      for (let next = this.waiting[end]; next !== undefined; next = this.waiting[++end]) {
        bytes += next.bytes
        const fits = end - start < this.bounds.batch && bytes <= this.bounds.batchBytes
        if (next.kind !== "event" || next.alone || next.notBefore > now || !fits) break
      }
    }
    return this.waiting.splice(start, end - start)
  }

  /** Comes back when the first of those is due that the bridge failed at. */
  private wake(now: number): void {
    if (this.timer !== undefined || this.waiting.length === 0) return
    const due = Math.min(...this.waiting.map((item) => item.notBefore))
    this.timer = setTimeout(() => {
      this.timer = undefined
      this.pump()
    }, due - now)
    this.timer.unref()
  }

  private async fly(batch: Item[]): Promise<void> {
    this.flights += 1
    for (const item of batch) this.flying.add(item)
    try {
      this.judge(batch, await this.mail.post(this.request(batch)))
    } catch (error) {
      this.drop(batch)
      this.log.error("something could not be told", String(error))
    } finally {
      this.flights -= 1
      if (this.size === 0) this.idle.splice(0).forEach((settle) => settle())
      this.pump()
    }
  }

  private request(batch: Item[]): Request {
    const first = batch[0]
    if (first === undefined) throw new Error("an empty batch")
    if (first.kind === "hook") {
      const name = JSON.stringify(first.hook)
      return { method: "hook", hook: first.hook, params: `{"name":${name},"payload":${first.json},"at":${first.at},${this.where}}` }
    }
    if (first.kind === "withheld") return { method: "withheld", params: `{${first.json.slice(1, -1)},${this.where}}` }
    const events = batch.map((item) => `{"event":${item.json},"at":${item.at}}`).join(",")
    return { method: "event", params: `{"events":[${events}],"origin":"live",${this.where}}` }
  }

  private judge(batch: Item[], answer: Answer): void {
    if (answer.kind === "result") {
      if (isTaken(answer.result)) this.drop(batch)
      else this.failed(batch, noteOf(answer.result))
    } else if (answer.kind !== "refused") {
      this.back(batch)
    } else if (answer.code === UNKNOWN_METHOD) {
      // An older bridge: the hooks still tell it most, and catch-up the rest.
      this.drop(batch)
      this.log.error("the bridge does not know a method", answer.message)
    } else if (answer.code === INVALID_PARAMS && batch.length > 1) {
      // One of them is at fault; the others must not suffer for it.
      for (const item of batch) item.alone = true
      this.back(batch)
    } else if (answer.code === INVALID_PARAMS) {
      this.drop(batch)
      this.log.error("the bridge takes something amiss", answer.message)
    } else {
      this.failed(batch, answer.message)
    }
  }

  /** The bridge could not: again a little later, a few times. */
  private failed(batch: Item[], why: string): void {
    const now = Date.now()
    const spent = batch.filter((item) => ++item.tries >= this.bounds.tries)
    if (spent.length > 0) {
      this.drop(spent)
      this.count(spent.length, why)
    }
    const left = batch.filter((item) => item.tries < this.bounds.tries)
    for (const item of left) item.notBefore = now + this.bounds.again * 2 ** (item.tries - 1)
    this.back(left)
  }

  private drop(items: readonly Item[]): void {
    for (const item of items) {
      this.flying.delete(item)
      this.bytes -= item.bytes
    }
  }

  /** Back into the queue, in the old order. */
  private back(items: readonly Item[]): void {
    for (const item of items) this.flying.delete(item)
    this.waiting = [...items, ...this.waiting].sort((one, other) => one.number - other.number)
  }

  private overflow(): void {
    if (!this.mail.ready() && this.aside.mayIngest) void this.handOver()
    this.trim()
  }

  /** Within the bounds again: the oldest go. */
  private trim(): void {
    let dropped = 0
    while (this.size > this.bounds.items || this.bytes > this.bounds.bytes) {
      const oldest = this.waiting.shift()
      if (oldest === undefined) break
      this.drop([oldest])
      dropped += 1
    }
    if (dropped > 0) this.count(dropped, "too much waits for the bridge")
  }

  private count(number: number, why: string): void {
    this.lost += number
    this.log.error(`events were dropped`, `${this.lost} so far; ${why}`)
  }

  /** Gives all that waits to the command, in one batch; what it does not take waits on. */
  handOver(): Promise<void> {
    if (this.handing !== undefined) return this.handing
    const batch = this.waiting.filter((item) => item.kind !== "withheld")
    if (batch.length === 0 || !this.aside.mayIngest) return Promise.resolve()
    this.waiting = this.waiting.filter((item) => item.kind === "withheld")
    this.drop(batch)
    this.handing = this.aside
      .ingest(batch.map(lineOf).join(""))
      .then((taken) => {
        if (taken) return
        for (const item of batch) this.bytes += item.bytes
        this.back(batch)
        this.trim()
      })
      .finally(() => {
        this.handing = undefined
      })
    return this.handing
  }
}

/** An item as the command reads it. */
function lineOf(item: Item): string {
  const told = item.kind === "hook" ? `"hook":${JSON.stringify(item.hook)},"payload":${item.json}` : `"event":${item.json}`
  return `{${told},"at":${item.at}}\n`
}

function isTaken(result: unknown): boolean {
  const { failed, outcome } = (result ?? {}) as { failed?: unknown; outcome?: unknown }
  return !(typeof failed === "number" && failed > 0) && outcome !== "failed"
}

function noteOf(result: unknown): string {
  const { note } = (result ?? {}) as { note?: unknown }
  return typeof note === "string" ? note : "the bridge failed at it"
}
