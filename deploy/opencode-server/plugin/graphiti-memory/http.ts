/** The bridge over HTTP, when OPENCODE_MEM_URL names one: the same methods, one request each. */

import { FORBIDDEN, INVALID_PARAMS, LATE, LOST, UNKNOWN_METHOD } from "./line.ts"
import type { Answer, Line, Request } from "./line.ts"

const PATHS: Readonly<Record<string, string>> = {
  hello: "/api/plugin/hello",
  event: "/api/plugin/events",
  withheld: "/api/plugin/withheld",
  tool: "/api/tool",
}
const CODES: Readonly<Record<number, number>> = {
  400: INVALID_PARAMS,
  401: FORBIDDEN,
  403: FORBIDDEN,
  404: UNKNOWN_METHOD,
  413: INVALID_PARAMS,
  501: UNKNOWN_METHOD,
}

class HttpLine implements Line {
  private readonly ended = new AbortController()

  constructor(
    private readonly url: string,
    private readonly token: () => string,
    private readonly onLost: (why: string) => void,
  ) {}

  async ask(request: Request, ms: number): Promise<Answer> {
    const deadline = AbortSignal.timeout(ms)
    try {
      const response = await fetch(this.url + pathOf(request), {
        method: request.method === "ping" ? "GET" : "POST",
        headers: { authorization: `Bearer ${this.token()}`, "content-type": "application/json" },
        ...(request.method === "ping" ? {} : { body: request.params }),
        signal: AbortSignal.any([deadline, this.ended.signal]),
      })
      const body: unknown = await response.json().catch(() => null)
      if (response.ok) return { kind: "result", result: body }
      const { error } = (body ?? {}) as { error?: { message?: unknown } }
      const message = typeof error?.message === "string" ? error.message : `status ${response.status}`
      return { kind: "refused", code: CODES[response.status] ?? 0, message }
    } catch (error) {
      if (deadline.aborted) return LATE
      this.end(error instanceof Error ? error.message : String(error))
      return LOST
    }
  }

  close(why = "closed"): void {
    this.end(why)
  }

  private end(why: string): void {
    if (this.ended.signal.aborted) return
    this.ended.abort()
    this.onLost(why)
  }
}

function pathOf(request: Request): string {
  if (request.hook !== undefined) return `/api/hooks/${encodeURIComponent(request.hook)}`
  return PATHS[request.method] ?? "/api/status"
}

/** Nothing is connected yet: the first request shows whether anybody is there. */
export function openHttp(url: string, token: () => string, onLost: (why: string) => void): Line {
  return new HttpLine(url, token, onLost)
}
