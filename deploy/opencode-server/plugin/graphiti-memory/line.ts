/** One open way to the bridge: requests go out as they come, answers come back in any order. */

/** `params` is JSON already, so that a payload is encoded once however often it is sent. */
export interface Request {
  readonly method: string
  readonly params: string
  /** The hook, when the method is `hook`: over HTTP it is part of the path. */
  readonly hook?: string
}

export type Answer =
  | { readonly kind: "result"; readonly result: unknown }
  | { readonly kind: "refused"; readonly code: number; readonly message: string }
  /** The deadline passed: it may or may not have been carried out. */
  | { readonly kind: "late" }
  /** The connection ended before the answer: likewise. */
  | { readonly kind: "lost" }
  /** It was not sent at all. */
  | { readonly kind: "unsent" }

export const LATE: Answer = { kind: "late" }
export const LOST: Answer = { kind: "lost" }
export const UNSENT: Answer = { kind: "unsent" }

/** Codes of the line protocol that mean something to the plugin. */
export const UNKNOWN_METHOD = -32601
export const INVALID_PARAMS = -32602
/** Ours: the bridge doesn't let us in. */
export const FORBIDDEN = -32099

export interface Line {
  /** Never rejects; answered within `ms`, one way or another. */
  ask(request: Request, ms: number): Promise<Answer>
  close(why?: string): void
}

/** Ends of lines in a stream of bytes: a character may be split over chunks, a line over many. */
export class Lines {
  private parts: Uint8Array[] = []
  private size = 0

  constructor(private readonly most: number) {}

  /** The lines that are complete with this chunk. Throws when one is longer than allowed. */
  push(chunk: Uint8Array): string[] {
    const found: string[] = []
    let start = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.keep(chunk.subarray(start, end))
      found.push(Buffer.concat(this.parts).toString("utf8"))
      this.parts = []
      this.size = 0
      start = end + 1
    }
    // The chunk's memory is the socket's: what is kept for later is copied.
    if (start < chunk.length) this.keep(Uint8Array.from(chunk.subarray(start)))
    return found
  }

  private keep(part: Uint8Array): void {
    this.size += part.length
    if (this.size > this.most) throw new Error(`the bridge sent a line of more than ${this.most} bytes`)
    if (part.length > 0) this.parts.push(part)
  }
}
