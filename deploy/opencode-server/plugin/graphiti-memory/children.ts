/** The only two programs that the plugin runs: the command that starts a bridge, and the one that
 * takes what no bridge took. Neither is waited for by a turn, and neither outlives its time. */

import type { Log } from "./log.ts"

/** The command gives up by itself before that. */
const ENSURE_MS = 20_000
const INGEST_MS = 30_000
/** After a failure it is tried again this late, and not sooner the next times. */
const AGAIN_MS = [60_000, 300_000, 1_800_000] as const

interface Ended {
  readonly status: number
  readonly out: string
  readonly said: string
}

/** How often something that fails may be tried. */
class Patience {
  private failures = 0
  private next = 0

  get due(): boolean {
    return Date.now() >= this.next
  }

  note(worked: boolean): void {
    if (worked) {
      this.failures = 0
      this.next = 0
      return
    }
    const wait = AGAIN_MS[Math.min(this.failures, AGAIN_MS.length - 1)] ?? 0
    this.failures += 1
    this.next = Date.now() + wait
  }
}

export class Children {
  private readonly running = new Set<Bun.Subprocess>()
  private readonly starts = new Patience()
  private readonly ingests = new Patience()
  private closed = false

  constructor(
    private readonly python: string,
    private readonly script: string,
    private readonly directory: string,
    private readonly cliIngest: boolean,
    private readonly log: Log,
  ) {}

  get mayEnsure(): boolean {
    return !this.closed && this.starts.due
  }

  /** Sees that a bridge runs; its socket, or undefined when none could be started (lately). */
  async ensure(): Promise<string | undefined> {
    if (!this.mayEnsure) return undefined
    const ended = await this.run(["ensure"], "/", null, ENSURE_MS)
    const socket = ended.status === 0 ? socketOf(ended.out) : ""
    this.starts.note(socket !== "")
    if (socket === "" && !this.closed) this.log.error("no bridge could be started", ended.said)
    return socket || undefined
  }

  /** Whether `ingest` may be tried now. */
  get mayIngest(): boolean {
    return this.cliIngest && !this.closed && this.ingests.due
  }

  /** Hands over one batch; true once it is on disk. */
  async ingest(lines: string): Promise<boolean> {
    if (!this.mayIngest) return false
    const ended = await this.run(["ingest", "--opencode"], this.directory, Buffer.from(lines), INGEST_MS)
    const worked = ended.status === 0
    this.ingests.note(worked)
    if (!worked && !this.closed) this.log.error("the command took no events", ended.said)
    return worked
  }

  kill(): void {
    this.closed = true
    for (const child of this.running) child.kill("SIGKILL")
  }

  private async run(words: string[], cwd: string, stdin: Uint8Array<ArrayBuffer> | null, ms: number): Promise<Ended> {
    let timer: ReturnType<typeof setTimeout> | undefined
    let child: Bun.Subprocess<Uint8Array<ArrayBuffer> | "ignore", "pipe", "pipe"> | undefined
    try {
      child = Bun.spawn([this.python, this.script, ...words], {
        cwd,
        env: process.env,
        stdin: stdin ?? "ignore",
        stdout: "pipe",
        stderr: "pipe",
      })
      child.unref() // OpenCode may end whenever it likes
      this.running.add(child)
      timer = setTimeout(() => child?.kill("SIGKILL"), ms)
      timer.unref()
      const [out, said] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
      return { status: await child.exited, out, said: lastLine(said) }
    } catch (error) {
      return { status: -1, out: "", said: error instanceof Error ? error.message : String(error) }
    } finally {
      clearTimeout(timer)
      if (child !== undefined) this.running.delete(child)
    }
  }
}

function socketOf(out: string): string {
  try {
    const { socket } = JSON.parse(out) as { socket?: unknown }
    return typeof socket === "string" ? socket : ""
  } catch {
    return ""
  }
}

const lastLine = (said: string): string => said.trim().split("\n").at(-1)?.slice(0, 500) ?? ""
