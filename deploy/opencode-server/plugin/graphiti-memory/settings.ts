/** What the plugin is told: options of opencode.json, then the environment, which wins. */

import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"

/** The same as the Python package's; a test compares them. */
export const VERSION = "0.1.0"

const YES = new Set(["1", "true", "yes", "on", "t", "y"])
const OPT_OUT_FILES = [".opencode-mem-off", ".opencode/memory-off"]
const CHAT_DEADLINE_MS = 800
const DEADLINE_RANGE_MS = [20, 60_000] as const
/** Bytes that a socket's path may have everywhere. */
const LONGEST_SOCKET = 103
/** Where the image keeps the command. */
const IMAGE_SCRIPT = "/root/.opencode/graphiti/memory_manager.py"

export type Environment = Readonly<Record<string, string | undefined>>
export type Place = "message" | "system" | "off"

export interface Settings {
  readonly disabled: boolean
  /** The bridge's address when it is asked over HTTP; "" for the socket. */
  readonly url: string
  /** Where the bridge's socket should be; when nobody listens there, `ensure` says where. */
  readonly socket: string
  readonly python: string
  readonly script: string
  readonly project: string
  /** Whether a full queue may be handed to the command. */
  readonly cliIngest: boolean
  readonly tools: boolean
  /** Where blocks go; undefined: where the bridge says. */
  readonly inject: Place | undefined
  /** Until the bridge says how long its own deadline is. */
  readonly chatDeadlineMs: number
  /** The bridge's HTTP token, as it is now: a new one may have been made. */
  readonly token: () => string
}

const told = (value: string | undefined): boolean => YES.has((value ?? "").trim().toLowerCase())
const text = (value: unknown): string => (typeof value === "string" ? value.trim() : "")

/** `here` is the folder of the plugin's entry file. */
export function settingsOf(options: Readonly<Record<string, unknown>>, env: Environment, here: string): Settings {
  const root = resolve(here, "..", "..", "..")
  const script = text(env["MEMORY_SCRIPT"]) || text(options["script"]) || scriptBeside(root)
  const inject = text(env["OPENCODE_MEM_INJECT"])
  return {
    disabled: told(env["OPENCODE_MEM_DISABLED"]),
    url: text(env["OPENCODE_MEM_URL"]).replace(/\/+$/, ""),
    socket: socketOf(env, process.getuid?.() ?? 0),
    python: text(env["OPENCODE_MEM_PYTHON"]) || text(options["python"]) || pythonBeside(root),
    script,
    project: text(env["OPENCODE_MEM_PROJECT"]),
    cliIngest: !told(env["OPENCODE_MEM_DISABLE_CLI_INGEST"]),
    tools: options["tools"] !== false,
    inject: inject === "message" || inject === "system" || inject === "off" ? inject : undefined,
    chatDeadlineMs: deadline(env["OPENCODE_MEM_CHAT_DEADLINE_MS"]),
    token: () => text(env["OPENCODE_MEM_TOKEN"]) || tokenIn(text(env["OPENCODE_MEM_TOKEN_FILE"]) || join(dataDir(env), "http-token")),
  }
}

function scriptBeside(root: string): string {
  const checkout = join(root, "memory_manager", "memory_manager.py")
  return existsSync(checkout) ? checkout : IMAGE_SCRIPT
}

function pythonBeside(root: string): string {
  const own = join(root, ".venv", "bin", "python")
  return existsSync(own) ? own : "python3"
}

function deadline(value: string | undefined): number {
  const [least, most] = DEADLINE_RANGE_MS
  const given = Number(text(value) || Number.NaN)
  return given >= least && given <= most ? given : CHAT_DEADLINE_MS
}

/** As the command's contract has it, to the byte: the socket's name is a checksum of it. */
function dataDir(env: Environment): string {
  const named = env["OPENCODE_MEM_DATA_DIR"]
  if (named) return named
  const share = env["XDG_DATA_HOME"] ?? ""
  return `${share.startsWith("/") ? share : `${env["HOME"] ?? ""}/.local/share`}/opencode-mem`
}

/** The bridge's socket by the same contract: so a bridge that runs is found without asking Python. */
export function socketOf(env: Environment, uid: number): string {
  const named = env["OPENCODE_MEM_SOCKET"]
  if (named) return named
  const name = `${Bun.hash.crc32(dataDir(env)).toString(16).padStart(8, "0")}.sock`
  for (const folder of [`${env["XDG_RUNTIME_DIR"] ?? ""}/opencode-mem`, `${env["TMPDIR"] || "/tmp"}/opencode-mem-${uid}`]) {
    const path = `${folder}/${name}`
    if (path.startsWith("/") && !path.startsWith("/opencode-mem") && Buffer.byteLength(path) <= LONGEST_SOCKET) return path
  }
  return `/tmp/opencode-mem-${uid}/${name}`
}

function tokenIn(file: string): string {
  try {
    return readFileSync(file, "utf8").trim()
  } catch {
    return ""
  }
}

/** Whether the project wants no memory: a file in its folder or in its worktree's root says so. */
export function optedOut(...folders: string[]): boolean {
  return folders.some((folder) => folder !== "" && OPT_OUT_FILES.some((name) => existsSync(join(folder, name))))
}
