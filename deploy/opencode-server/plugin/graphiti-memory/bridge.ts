/** The bridge as the plugin sees it: there, away, or not to be waited for. */

import { FORBIDDEN, UNKNOWN_METHOD, UNSENT } from "./line.ts"
import type { Answer, Line, Request } from "./line.ts"
import type { Log } from "./log.ts"
import type { Place } from "./settings.ts"

export const PROTOCOL = 1

/** What the bridge says of itself. */
export interface About {
  readonly version: string
  readonly cache: { readonly kind: string; readonly at: string; readonly up: boolean }
  readonly inject: Place
  readonly disabled: boolean
  readonly chatDeadlineMs: number
  readonly optedOut: boolean
}

/** Opens a line. `wanted`: something waits for it, so a bridge may be started. */
export type Open = (onLost: (why: string) => void, wanted: boolean) => Promise<Line | undefined>

/** Times in ms; tests take shorter ones. */
export interface Pace {
  /** While OpenCode starts, a question may wait this long in all for the bridge to come. */
  readonly start: number
  readonly hello: number
  /** The model's own call waits this long for a bridge to come. */
  readonly come: number
  /** Between attempts to connect: at first, and at most. */
  readonly again: number
  readonly most: number
  /** Until a bridge of another version is looked at again. */
  readonly foreign: number
  /** Until a bridge that let several questions wait is asked again: at first, and at most. */
  readonly rest: number
  readonly longestRest: number
  /** Longest wait for what no turn waits for. */
  readonly post: number
}

export const PACE: Pace = {
  start: 5000,
  hello: 2000,
  come: 3000,
  again: 50,
  most: 5000,
  foreign: 60_000,
  rest: 5000,
  longestRest: 600_000,
  post: 10_000,
}

/** Questions in a row without an answer, after which nobody waits for one. */
const MOST_LATE = 3

type State = "starting" | "away" | "ready" | "foreign" | "closed"

export class Bridge {
  /** What the last greeting said; it stays when the bridge goes. */
  about: About | undefined
  private state: State = "starting"
  private line: Line | undefined
  private connecting = false
  private wanted = true
  private failures = 0
  private late = 0
  private tired = false
  private rest: number
  private timer: ReturnType<typeof setTimeout> | undefined
  private tried = 0
  private readonly started: Promise<void>
  private settle: () => void = () => undefined

  constructor(
    private readonly open: Open,
    private readonly greeting: () => Request,
    private readonly onReady: (about: About) => void,
    private readonly log: Log,
    private readonly pace: Pace = PACE,
  ) {
    this.rest = pace.rest
    this.started = new Promise((settle) => {
      this.settle = settle
    })
  }

  /** Begins to connect, and goes on until `close`. */
  start(): void {
    setTimeout(() => this.over(), this.pace.start).unref()
    this.later(0)
  }

  get ready(): boolean {
    return this.state === "ready"
  }

  /** Whether a bridge may still come up that OpenCode's start has asked for. */
  get starting(): boolean {
    return this.state === "starting"
  }

  /** An answer for somebody who waits, by `until` (ms since the epoch); never rejects. */
  async ask(request: Request, until: number): Promise<Answer> {
    if (this.tired || this.state === "closed") return UNSENT
    if (this.state !== "ready") {
      this.want()
      if (this.state !== "starting") return UNSENT
      await Promise.race([this.started, sleep(until - Date.now())])
      if (!this.ready) {
        if (this.starting) this.waitedInVain()
        return UNSENT
      }
    }
    const left = until - Date.now()
    if (left <= 0 || this.line === undefined) return UNSENT
    const answer = await this.line.ask(request, left)
    if (answer.kind === "late") this.waitedInVain()
    else if (answer.kind !== "lost") this.recovered()
    return answer
  }

  /** The same for what nobody waits for: a bridge that does not answer it is hung up on. */
  async post(request: Request): Promise<Answer> {
    const line = this.line
    if (!this.ready || line === undefined) {
      this.want()
      return UNSENT
    }
    const answer = await line.ask(request, this.pace.post)
    if (answer.kind === "late") line.close("it did not answer")
    return answer
  }

  /** The same for the model's own call, which may wait until the bridge has come. */
  async call(request: Request, ms: number): Promise<Answer> {
    const until = Date.now() + ms
    const come = Date.now() + this.pace.come
    while (!this.ready && this.state !== "foreign" && this.state !== "closed" && Date.now() < come) {
      this.want()
      await sleep(this.pace.again)
    }
    return this.ready && this.line !== undefined ? this.line.ask(request, until - Date.now()) : UNSENT
  }

  /** Something waits for the bridge. */
  want(): void {
    this.wanted = true
    if (this.state === "away" && !this.connecting && Date.now() - this.tried > 5 * this.pace.again) this.later(0)
  }

  /** Asks the bridge once more how it is. */
  async greet(): Promise<void> {
    const line = this.line
    if (!this.ready || line === undefined) return
    const about = aboutOf(await line.ask(this.greeting(), this.pace.hello))
    if (about !== undefined && this.line === line) {
      this.about = about
      this.onReady(about)
    }
  }

  close(): void {
    this.state = "closed"
    clearTimeout(this.timer)
    this.settle()
    this.line?.close()
    this.line = undefined
  }

  private later(ms: number): void {
    if (this.state === "closed") return
    clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.connect(), ms)
    this.timer.unref()
  }

  private async connect(): Promise<void> {
    if (this.connecting || this.state === "closed" || this.state === "ready") return
    this.connecting = true
    this.tried = Date.now()
    try {
      const opened: { line: Line | undefined } = { line: undefined }
      const line = await this.open((why) => this.lost(opened.line, why), this.wanted)
      opened.line = line
      if (line !== undefined) await this.greeted(line)
    } catch (error) {
      this.log.error("the bridge could not be asked", String(error))
    } finally {
      this.connecting = false
      this.settled()
    }
  }

  private async greeted(line: Line): Promise<void> {
    const answer = await line.ask(this.greeting(), this.pace.hello)
    const about = aboutOf(answer)
    if ((this.state as State) === "closed" || about === undefined) {
      if (this.state !== "closed" && isForeign(answer)) {
        if (this.state !== "foreign") this.log.error(strangeness(answer), "memory rests until that is mended")
        this.state = "foreign"
      }
      line.close()
      return
    }
    this.line = line
    this.state = "ready"
    this.wanted = false
    this.failures = 0
    this.forgive()
    this.about = about
    this.settle()
    this.onReady(about)
  }

  /** After an attempt: the next one, unless it worked. */
  private settled(): void {
    if (this.state === "ready" || this.state === "closed") return
    if (this.state === "foreign") {
      this.settle()
      this.later(this.pace.foreign)
      return
    }
    this.over()
    const wait = Math.min(this.pace.most, this.pace.again * 2 ** Math.min(this.failures, 16))
    this.failures += 1
    this.later(wait * (0.75 + Math.random() / 2))
  }

  private lost(line: Line | undefined, why: string): void {
    if (line === undefined || line !== this.line || this.state === "closed") return
    this.line = undefined
    this.state = "away"
    this.log.warn(`the bridge is away (${why})`)
    this.later(this.pace.again)
  }

  /** The start is over, whether or not a bridge came. */
  private over(): void {
    if (this.state === "starting") this.state = "away"
    this.settle()
  }

  private waitedInVain(): void {
    this.late += 1
    if (this.late < MOST_LATE || this.tired) return
    this.tired = true
    this.log.error("the bridge does not answer", `not waiting for it for ${this.rest / 1000} s`)
    setTimeout(() => void this.probe(), this.rest).unref()
    this.rest = Math.min(this.pace.longestRest, this.rest * 2)
  }

  /** A turn is only asked to wait again once a question that no turn waited for was answered. */
  private async probe(): Promise<void> {
    if (this.state === "closed" || !this.tired) return
    const answer = await this.line?.ask({ method: "ping", params: "{}" }, this.pace.hello)
    if (answer?.kind === "result" || answer?.kind === "refused") {
      this.forgive()
    } else {
      setTimeout(() => void this.probe(), this.rest).unref()
      this.rest = Math.min(this.pace.longestRest, this.rest * 2)
    }
  }

  /** It answers again; of who let turns wait before, one more wait in vain is enough. */
  private forgive(): void {
    this.late = this.tired ? MOST_LATE - 1 : 0
    this.tired = false
  }

  private recovered(): void {
    this.late = 0
    this.tired = false
    this.rest = this.pace.rest
  }
}

/** Whether another version answered, or one that does not let us in. */
function isForeign(answer: Answer): boolean {
  if (answer.kind === "result") return true
  return answer.kind === "refused" && (answer.code === UNKNOWN_METHOD || answer.code === FORBIDDEN)
}

function strangeness(answer: Answer): string {
  if (answer.kind === "refused" && answer.code === FORBIDDEN) return `the bridge refuses us: ${answer.message}`
  return "the bridge is of another version than this plugin (run `opencode-mem stop`)"
}

function aboutOf(answer: Answer): About | undefined {
  if (answer.kind !== "result") return undefined
  const told = record(answer.result)
  if (told["protocol"] !== PROTOCOL) return undefined
  const cache = record(told["cache"])
  const inject = told["inject"]
  const deadline = told["chat_deadline_ms"]
  return {
    version: String(told["version"] ?? ""),
    cache: { kind: String(cache["kind"] ?? ""), at: String(cache["at"] ?? ""), up: cache["up"] === true },
    inject: inject === "system" || inject === "off" ? inject : "message",
    disabled: told["disabled"] === true,
    chatDeadlineMs: typeof deadline === "number" && deadline > 0 ? deadline : 800,
    optedOut: told["opted_out"] === true,
  }
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {}

export function sleep(ms: number): Promise<void> {
  return new Promise((settle) => {
    setTimeout(settle, Math.max(0, ms)).unref()
  })
}
