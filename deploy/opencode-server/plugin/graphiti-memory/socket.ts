/** The bridge's Unix socket: JSON-RPC 2.0, one message a line. */

import { statSync } from "node:fs"
import { dirname } from "node:path"
import { LATE, Lines, LOST } from "./line.ts"
import type { Answer, Line, Request } from "./line.ts"

/** Bytes of the longest answer that is read. */
const LONGEST = 16 * 1024 * 1024
/** A connection that is not taken by then never is. */
const CONNECT_MS = 1000

interface Waiting {
  readonly settle: (answer: Answer) => void
  readonly timer: ReturnType<typeof setTimeout>
}

/** The little of Bun's socket that is used. */
interface Wire {
  write(data: Uint8Array, offset: number, length: number): number
  unref(): void
  terminate(): void
}

class SocketLine implements Line {
  private readonly waiting = new Map<number, Waiting>()
  private readonly lines = new Lines(LONGEST)
  private readonly out: Uint8Array[] = []
  private offset = 0
  private last = 0
  private open = true
  private wire: Wire | undefined

  constructor(private readonly onLost: (why: string) => void) {}

  ask(request: Request, ms: number): Promise<Answer> {
    if (!this.open) return Promise.resolve(LOST)
    const id = ++this.last
    return new Promise((settle) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id)
        settle(LATE)
      }, ms)
      timer.unref()
      this.waiting.set(id, { settle, timer })
      const line = `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(request.method)},"params":${request.params}}\n`
      this.out.push(Buffer.from(line, "utf8"))
      this.flush()
    })
  }

  close(why = "closed"): void {
    this.end(why)
  }

  opened(wire: Wire): void {
    if (!this.open) {
      wire.terminate() // it was given up before it came
      return
    }
    this.wire = wire
    wire.unref()
    this.flush()
  }

  /** The socket takes as many bytes as it has room for; the rest goes when it says so. */
  flush(): void {
    if (this.wire === undefined) return
    for (let first = this.out[0]; first !== undefined; first = this.out[0]) {
      const written = this.wire.write(first, this.offset, first.length - this.offset)
      if (written < 0) return // it is closing: `end` will be told
      this.offset += written
      if (this.offset < first.length) return
      this.out.shift()
      this.offset = 0
    }
  }

  read(chunk: Uint8Array): void {
    try {
      for (const line of this.lines.push(chunk)) this.answered(line)
    } catch (error) {
      this.end(error instanceof Error ? error.message : String(error))
    }
  }

  end(why: string): void {
    if (!this.open) return
    this.open = false
    this.out.length = 0
    for (const { settle, timer } of this.waiting.values()) {
      clearTimeout(timer)
      settle(LOST)
    }
    this.waiting.clear()
    this.wire?.terminate()
    this.onLost(why)
  }

  private answered(line: string): void {
    const message: unknown = JSON.parse(line)
    if (typeof message !== "object" || message === null) throw new Error("the bridge's answer is no object")
    const { id, result, error } = message as { id?: unknown; result?: unknown; error?: unknown }
    const waiting = typeof id === "number" ? this.waiting.get(id) : undefined
    if (waiting === undefined) return // too late, or of a request that it could not read
    this.waiting.delete(id as number)
    clearTimeout(waiting.timer)
    waiting.settle(error === undefined ? { kind: "result", result: result ?? null } : refusal(error))
  }
}

function refusal(error: unknown): Answer {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  return {
    kind: "refused",
    code: typeof code === "number" ? code : 0,
    message: typeof message === "string" ? message : "no reason given",
  }
}

/** Whether nobody else can have put the socket there. */
function isOurs(path: string): boolean {
  const folder = statSync(dirname(path), { throwIfNoEntry: false })
  return folder !== undefined && folder.uid === process.getuid?.() && (folder.mode & 0o022) === 0
}

/** Connects; undefined when nobody listens. `onLost` is called once, when the open line ends. */
export async function openSocket(path: string, onLost: (why: string) => void): Promise<Line | undefined> {
  if (!isOurs(path)) return undefined
  let wanted = false
  const line = new SocketLine((why) => {
    if (wanted) onLost(why)
  })
  const coming = Bun.connect({
    unix: path,
    socket: {
      open: () => undefined,
      data: (_, chunk) => line.read(chunk),
      drain: () => line.flush(),
      close: () => line.end("the bridge hung up"),
      end: () => line.end("the bridge hung up"),
      error: (_, error) => line.end(error.message),
    },
  })
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((settle) => {
    timer = setTimeout(() => settle(undefined), CONNECT_MS)
    timer.unref()
  })
  try {
    const wire = await Promise.race([coming, late])
    if (wire === undefined) {
      line.close()
      void coming.then((given) => line.opened(given)).catch(() => undefined)
      return undefined
    }
    wanted = true
    line.opened(wire)
    return line
  } catch {
    return undefined // refused, or there is no such file
  } finally {
    clearTimeout(timer)
  }
}
