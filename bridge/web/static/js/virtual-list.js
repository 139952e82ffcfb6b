// A list of which only the rows in sight exist. Heights are known beforehand, so nothing ever jumps.

/** Pixels above and below the sight that are kept ready. */
const READY = 360;
/** Rows from the end at which more are asked for. */
const NEAR_END = 24;
/** Closer to the top than this counts as being there. */
const AT_TOP = 8;

export class VirtualList {
  #host;
  #space;
  #options;
  #items = [];
  #offsets = new Float64Array(1);
  #rows = new Map(); // key → { element, item }
  #active = null;
  #frame = 0;
  #sized;
  #width = 0;

  /**
   * @param host the scrolling element; becomes a listbox
   * @param options label, prefix (of row ids), keyOf(item), heightOf(item, width), build(item),
   *   selectable(item), selected(item), onOpen(item), onNearEnd(), onTop(isAtTop)
   */
  constructor(host, options) {
    this.#host = host;
    this.#options = options;
    this.#space = document.createElement("div");
    this.#space.className = "vlist-space";
    this.#space.setAttribute("role", "presentation");
    host.classList.add("vlist");
    host.setAttribute("role", "listbox");
    host.setAttribute("aria-label", options.label);
    host.tabIndex = 0;
    host.replaceChildren(this.#space);
    host.addEventListener("scroll", () => this.#soon(), { passive: true });
    host.addEventListener("click", (event) => this.#clicked(event));
    this.#sized = new ResizeObserver(() => this.#resized());
    this.#sized.observe(host);
  }

  get atTop() {
    return this.#host.scrollTop < AT_TOP;
  }

  get activeItem() {
    return this.#items[this.#indexOf(this.#active)] ?? null;
  }

  /** Show these. What is in sight stays where it is, unless the list stands at its top. */
  set(items, { toTop = false } = {}) {
    const anchor = toTop || this.atTop ? null : this.#anchor();
    this.#items = items;
    this.#offsets = new Float64Array(items.length + 1);
    const width = this.#host.clientWidth;
    for (let i = 0; i < items.length; i += 1) {
      this.#offsets[i + 1] = this.#offsets[i] + this.#options.heightOf(items[i], width);
    }
    this.#space.style.height = `${this.#offsets[items.length]}px`;
    if (toTop) this.#host.scrollTop = 0;
    else if (anchor) this.#restore(anchor);
    this.#paint();
  }

  toTop() {
    this.#host.scrollTop = 0;
    this.#paint();
  }

  focus() {
    this.#host.focus({ preventScroll: true });
  }

  /** Move the mark by so many rows; gives the item that has it now. */
  move(step) {
    const from = this.#indexOf(this.#active);
    let index = from < 0 ? this.#firstSeen() - (step > 0 ? 1 : 0) : from;
    do index += step;
    while (this.#items[index] && !this.#options.selectable(this.#items[index]));
    if (!this.#items[index]) return this.activeItem;
    this.mark(this.#options.keyOf(this.#items[index]));
    this.#reveal(index);
    return this.#items[index];
  }

  /** Put the mark on the item of this key. */
  mark(key) {
    this.#active = key;
    this.#dress();
  }

  open() {
    const item = this.activeItem;
    if (item) this.#options.onOpen(item);
  }

  destroy() {
    cancelAnimationFrame(this.#frame);
    this.#sized.disconnect();
  }

  /** Another width: other heights, and rows that are built anew for it. */
  #resized() {
    const { clientWidth } = this.#host;
    if (clientWidth !== this.#width) {
      this.#width = clientWidth;
      this.#rows.forEach(({ element }) => element.remove());
      this.#rows.clear();
    }
    this.set(this.#items);
  }

  #indexOf(key) {
    return key === null ? -1 : this.#items.findIndex((item) => this.#options.keyOf(item) === key);
  }

  #clicked(event) {
    const element = event.target.closest("[data-index]");
    if (!element || !this.#host.contains(element)) return;
    const item = this.#items[Number(element.dataset.index)];
    if (!item || !this.#options.selectable(item)) return;
    this.mark(this.#options.keyOf(item));
    this.#options.onOpen(item);
  }

  #anchor() {
    const index = this.#firstSeen();
    const item = this.#items[index];
    return item && { key: this.#options.keyOf(item), by: this.#host.scrollTop - this.#offsets[index] };
  }

  #restore({ key, by }) {
    const index = this.#indexOf(key);
    if (index >= 0) this.#host.scrollTop = this.#offsets[index] + by;
  }

  /** The first row whose end is below `y`. */
  #at(y) {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#offsets[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #firstSeen() {
    return this.#at(this.#host.scrollTop);
  }

  #reveal(index) {
    const top = this.#offsets[index];
    const bottom = this.#offsets[index + 1];
    const { scrollTop, clientHeight } = this.#host;
    const margin = Math.min(48, clientHeight / 4);
    if (top - margin < scrollTop) this.#host.scrollTop = Math.max(0, top - margin);
    else if (bottom + margin > scrollTop + clientHeight) {
      this.#host.scrollTop = bottom + margin - clientHeight;
    }
    this.#paint();
  }

  #soon() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const { scrollTop, clientHeight } = this.#host;
    const first = this.#at(scrollTop - READY);
    const last = Math.min(this.#items.length, this.#at(scrollTop + clientHeight + READY) + 1);
    const wanted = new Set();
    for (let index = first; index < last; index += 1) {
      wanted.add(this.#place(index));
    }
    for (const [key, row] of this.#rows) {
      if (wanted.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
    this.#dress();
    this.#options.onTop?.(this.atTop);
    if (this.#items.length - last < NEAR_END) this.#options.onNearEnd?.();
  }

  #place(index) {
    const item = this.#items[index];
    const key = this.#options.keyOf(item);
    let row = this.#rows.get(key);
    if (row?.item !== item) {
      const element = this.#options.build(item);
      element.classList.add("vlist-row");
      element.id = `${this.#options.prefix}-${key}`;
      element.setAttribute("role", this.#options.selectable(item) ? "option" : "presentation");
      if (row) row.element.replaceWith(element);
      else this.#space.append(element);
      row = { element, item };
      this.#rows.set(key, row);
    }
    const { element } = row;
    element.dataset.index = String(index);
    element.style.transform = `translateY(${this.#offsets[index]}px)`;
    element.style.height = `${this.#offsets[index + 1] - this.#offsets[index]}px`;
    if (this.#options.selectable(item)) {
      element.setAttribute("aria-posinset", String(index + 1));
      element.setAttribute("aria-setsize", this.#options.complete?.() ? String(this.#items.length) : "-1");
    }
    return key;
  }

  /** The mark and the selection, on the rows that exist. */
  #dress() {
    let seen = null;
    for (const [key, { element, item }] of this.#rows) {
      element.classList.toggle("is-active", key === this.#active);
      if (key === this.#active) seen = element.id;
      if (this.#options.selectable(item)) {
        element.setAttribute("aria-selected", String(Boolean(this.#options.selected?.(item))));
      }
    }
    if (seen) this.#host.setAttribute("aria-activedescendant", seen);
    else this.#host.removeAttribute("aria-activedescendant");
  }
}
