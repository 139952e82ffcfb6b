/** Whose child a session is: a subagent's is not a person's conversation. */

import type { PluginInput } from "@opencode-ai/plugin"
import { sleep } from "./bridge.ts"

const MOST = 1000

export class Parents {
  private readonly known = new Map<string, string>()

  constructor(private readonly client: PluginInput["client"]) {}

  note(session: string, parent: string): void {
    this.known.delete(session)
    this.known.set(session, parent)
    const [oldest] = this.known.keys()
    if (this.known.size > MOST && oldest !== undefined) this.known.delete(oldest)
  }

  forget(session: string): void {
    this.known.delete(session)
  }

  /** The parent, "" for none; OpenCode itself is asked about a session that began before us. */
  async of(session: string, until: number): Promise<string | undefined> {
    const known = this.known.get(session)
    if (known !== undefined) return known
    const asked = this.client.session.get({ path: { id: session } }).then(({ data }) => data, () => undefined)
    const info = await Promise.race([asked, sleep(until - Date.now())])
    if (info === undefined) return undefined
    this.note(session, info.parentID ?? "")
    return info.parentID ?? ""
  }
}
