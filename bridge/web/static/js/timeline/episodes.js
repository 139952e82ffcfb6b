// The episodes that are known so far, newest first. Knows nothing of the page.
import { dayOf } from "../time.js";

/** More than these are not kept: the oldest leave, and come again when they are scrolled to. */
const MOST = 20_000;

const before = (a, b) => b.at - a.at || (b.uuid > a.uuid ? 1 : -1);

/** Whether an episode that comes in live belongs into a list with this filter. */
export function fits(filter, episode) {
  if (episode.group !== filter.group) return false;
  if (filter.session && episode.session !== filter.session) return false;
  if (filter.kind && episode.kind !== filter.kind) return false;
  if (filter.path && !(episode.paths ?? []).includes(filter.path)) return false;
  const wanted = (filter.text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const said = `${episode.text} ${(episode.paths ?? []).join(" ")}`.toLowerCase();
  return wanted.every((word) => said.includes(word));
}

export class Episodes {
  #list = [];
  #places = new Map(); // uuid → the episode as it is in the list
  #days = new Map(); // key → the heading, the same object each time
  #cursors = []; // where each page began: {cursor, count}
  next = null;

  get length() {
    return this.#list.length;
  }

  get(uuid) {
    return this.#places.get(uuid) ?? null;
  }

  clear() {
    this.#list = [];
    this.#places.clear();
    this.#cursors = [];
    this.next = null;
  }

  /** The next older page, asked for with the cursor `from`. */
  older(page, from) {
    const fresh = page.episodes.filter((episode) => !this.#places.has(episode.uuid));
    this.#cursors.push({ cursor: from, at: this.#list.length });
    for (const episode of fresh) this.#places.set(episode.uuid, episode);
    this.#list.push(...fresh);
    this.#list.sort(before);
    this.next = page.next ?? null;
  }

  /** Episodes that are newer than what is known, or known and changed; gives how many are new. */
  newer(episodes) {
    let added = 0;
    for (const episode of episodes) {
      if (!this.#places.has(episode.uuid)) added += 1;
      this.#places.set(episode.uuid, episode);
    }
    if (added) {
      const known = new Set(this.#list.map((episode) => episode.uuid));
      const fresh = episodes.filter((e) => !known.has(e.uuid) && known.add(e.uuid));
      this.#list = [...fresh, ...this.#list].sort(before);
    }
    this.#list = this.#list.map((episode) => this.#places.get(episode.uuid));
    this.#forget();
    return added;
  }

  /** What a flush has brought into the graph is pending no more; gives whether that changes any. */
  flushed({ uuids = [] }) {
    let changed = false;
    for (const uuid of uuids) {
      const episode = this.#places.get(uuid);
      if (!episode?.pending) continue;
      this.#places.set(uuid, { ...episode, pending: false });
      changed = true;
    }
    if (changed) this.#list = this.#list.map((episode) => this.#places.get(episode.uuid));
    return changed;
  }

  /** The list's rows: a heading for each day, and its episodes. */
  rows() {
    const rows = [];
    let day = null;
    const now = new Date();
    for (const episode of this.#list) {
      const { key, label } = dayOf(episode.at, now);
      if (key !== day) {
        day = key;
        if (this.#days.get(key)?.label !== label) this.#days.set(key, { day: key, label });
        rows.push(this.#days.get(key));
      }
      rows.push(episode);
    }
    return rows;
  }

  #forget() {
    if (this.#list.length <= MOST) return;
    // Whole pages go, so that the cursor of the first one that went gets them back.
    const kept = this.#cursors.findLast((page) => page.at <= MOST && page.cursor);
    if (!kept) return;
    for (const episode of this.#list.splice(kept.at)) this.#places.delete(episode.uuid);
    this.#cursors.length = this.#cursors.indexOf(kept);
    this.next = kept.cursor;
  }
}
