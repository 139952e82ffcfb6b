/** Options, environment, defaults. */

import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "bun:test"
import { optedOut, settingsOf, socketOf } from "../../deploy/opencode-server/plugin/graphiti-memory/settings.ts"
import { folder } from "./support.ts"

const PLUGIN = join("deploy", "opencode-server", "plugin")

test("the installer's options name interpreter and command; the environment's go before them", () => {
  const options = { python: "/opt/python", script: "/opt/mm.py" }

  expect(settingsOf(options, {}, "/x")).toMatchObject(options)
  expect(settingsOf(options, { MEMORY_SCRIPT: "/own.py", OPENCODE_MEM_PYTHON: "/own/python" }, "/x")).toMatchObject({
    python: "/own/python",
    script: "/own.py",
  })
})

test("without them the checkout's own are used, else the image's", () => {
  const root = folder()
  mkdirSync(join(root, "memory_manager"))
  mkdirSync(join(root, ".venv", "bin"), { recursive: true })
  writeFileSync(join(root, "memory_manager", "memory_manager.py"), "")
  writeFileSync(join(root, ".venv", "bin", "python"), "")

  expect(settingsOf({}, {}, join(root, PLUGIN))).toMatchObject({
    python: join(root, ".venv", "bin", "python"),
    script: join(root, "memory_manager", "memory_manager.py"),
  })
  expect(settingsOf({}, {}, join(folder(), PLUGIN))).toMatchObject({
    python: "python3",
    script: "/root/.opencode/graphiti/memory_manager.py",
  })
})

test.each([
  ["", 800],
  ["900", 900],
  [" 900 ", 900],
  ["19", 800],
  ["60001", 800],
  ["soon", 800],
])("a chat deadline of %j is %d ms", (given, ms) => {
  expect(settingsOf({}, { OPENCODE_MEM_CHAT_DEADLINE_MS: given }, "/x").chatDeadlineMs).toBe(ms)
})

test.each([
  ["message", "message"],
  ["system", "system"],
  ["off", "off"],
  ["", undefined],
  ["elsewhere", undefined],
])("blocks that are to go to %j go to %p", (given, place) => {
  expect(settingsOf({}, { OPENCODE_MEM_INJECT: given }, "/x").inject).toBe(place as undefined)
})

test("options of a wrong kind are no options", () => {
  expect(settingsOf({ python: 1, script: null, tools: "x" }, {}, "/x")).toMatchObject({ python: "python3", tools: true })
})

test("the token is the environment's, its file's, or the data folder's", () => {
  const place = folder()
  writeFileSync(join(place, "http-token"), "kept\n")
  writeFileSync(join(place, "other"), "other\n")

  const token = (env: Record<string, string>): string => settingsOf({}, { OPENCODE_MEM_DATA_DIR: place, ...env }, "/x").token()

  expect(token({ OPENCODE_MEM_TOKEN: "given" })).toBe("given")
  expect(token({ OPENCODE_MEM_TOKEN_FILE: join(place, "other") })).toBe("other")
  expect(token({})).toBe("kept")
  expect(token({ OPENCODE_MEM_DATA_DIR: "/nonexistent" })).toBe("")
})

test("the data folder is where the command has it", () => {
  const home = folder()
  const make = (place: string): string => {
    const made = join(home, place, "opencode-mem")
    mkdirSync(made, { recursive: true })
    writeFileSync(join(made, "http-token"), place)
    return join(home, place)
  }
  const share = make("share")
  make(".local/share")

  expect(settingsOf({}, { XDG_DATA_HOME: share, HOME: home }, "/x").token()).toBe("share")
  expect(settingsOf({}, { XDG_DATA_HOME: "relative", HOME: home }, "/x").token()).toBe(".local/share")
})

test("a project opts out by a file in its folder or its worktree", () => {
  const [place, root] = [folder(), folder()]
  expect(optedOut(place, root)).toBe(false)

  writeFileSync(join(root, ".opencode-mem-off"), "")

  expect(optedOut(place, root)).toBe(true)
  expect(optedOut("", place)).toBe(false)
})

test("a socket that is named is where it is named; else it is one for each data folder and user", () => {
  expect(socketOf({ OPENCODE_MEM_SOCKET: "/run/own.sock" }, 7)).toBe("/run/own.sock")
  expect(socketOf({ OPENCODE_MEM_DATA_DIR: "/data", XDG_RUNTIME_DIR: "/run/user/7" }, 7)).toBe("/run/user/7/opencode-mem/090463b7.sock")
})
