// One picture on a surface, as large as you like. Pinch, wheel, double tap, drag and keys; a single
// tap brings a point to the middle, so nothing needs a drag.

const CLOSEST = 4; // screen pixels per picture pixel
const STEP = 1.4;
const KEY_PX = 80;
const DOUBLE_TAP_MS = 300;
const TAP_SLOP_PX = 8;

export class Zoom {
  #fingers = new Map();
  #pinch = null;
  #press = null;
  #lastTap = { time: 0, x: 0, y: 0 };

  /** `onMove(zoom)` runs after a person moved the picture, not after `follow`. */
  constructor(surface, picture, onMove) {
    this.surface = surface;
    this.picture = picture;
    this.onMove = onMove;
    this.view = { x: 0, y: 0, scale: 1 };
    this.wasFit = true; // when it was laid out last
    // Not the window's event: that one comes before a surface of the screen's height has its new size.
    new ResizeObserver(() => this.#onResize()).observe(surface);
    surface.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    surface.addEventListener("pointerdown", (event) => this.#onDown(event));
    surface.addEventListener("pointermove", (event) => this.#onDrag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      surface.addEventListener(end, (event) => this.#onUp(event));
    }
  }

  get fitScale() {
    const { clientWidth: width, clientHeight: height } = this.surface;
    return Math.min(width / this.picture.naturalWidth, height / this.picture.naturalHeight);
  }

  /** Also of a picture that has its size already, but was not laid out by us yet. */
  get isFit() {
    return !this.picture.style.width || this.view.scale <= this.fitScale * 1.001;
  }

  /** Screen pixels per picture pixel, in percent. */
  get percent() {
    return Math.round(this.view.scale * 100);
  }

  fit() {
    if (this.picture.naturalWidth) this.#move({ x: 0, y: 0, scale: this.fitScale });
  }

  // The point of the picture under (x, y) stays there.
  zoomTo(scale, x = this.surface.clientWidth / 2, y = this.surface.clientHeight / 2) {
    const next = Math.min(CLOSEST, Math.max(Math.min(this.fitScale, 1), scale));
    const ratio = next / this.view.scale;
    this.#move({ scale: next, x: x - (x - this.view.x) * ratio, y: y - (y - this.view.y) * ratio });
  }

  closer() {
    this.zoomTo(this.view.scale * STEP);
  }

  farther() {
    this.zoomTo(this.view.scale / STEP);
  }

  pan(right, down) {
    this.#move({ ...this.view, x: this.view.x - right, y: this.view.y - down });
  }

  /** The same part of another picture, at the same size beside its fit. */
  follow(other) {
    const { clientWidth: width, clientHeight: height } = other.surface;
    const { naturalWidth, naturalHeight } = this.picture;
    const scale = (other.view.scale / other.fitScale) * this.fitScale;
    const across = (width / 2 - other.view.x) / (other.picture.naturalWidth * other.view.scale);
    const down = (height / 2 - other.view.y) / (other.picture.naturalHeight * other.view.scale);
    this.#place({
      scale,
      x: this.surface.clientWidth / 2 - across * naturalWidth * scale,
      y: this.surface.clientHeight / 2 - down * naturalHeight * scale,
    });
  }

  /** Whether a key was one of ours; arrows only move a picture that is larger than the surface. */
  onKey(event) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const other = {
      "+": () => this.closer(),
      "=": () => this.closer(),
      "-": () => this.farther(),
      0: () => this.fit(),
      1: () => this.zoomTo(1),
    };
    const arrow = !this.isFit && arrows[event.key];
    if (arrow) this.pan(arrow[0] * KEY_PX, arrow[1] * KEY_PX);
    else if (event.key in other) other[event.key]();
    else return false;
    event.preventDefault();
    return true;
  }

  #move(view) {
    this.#place(view);
    this.onMove(this);
  }

  // Keep the picture on the surface: centred where it is smaller, edge to edge where it is larger.
  #place({ x, y, scale }) {
    const { naturalWidth, naturalHeight } = this.picture;
    this.view = {
      scale,
      x: within(x, this.surface.clientWidth, naturalWidth * scale),
      y: within(y, this.surface.clientHeight, naturalHeight * scale),
    };
    // A width, not a scale: browsers filter a picture better when it is laid out at its size.
    this.picture.style.width = `${naturalWidth * scale}px`;
    this.wasFit = this.isFit;
    this.picture.style.transform = `translate(${this.view.x}px, ${this.view.y}px)`;
  }

  // As when a tablet is turned or hides its address bar: what was looked at closely still is.
  #onResize() {
    if (!this.surface.clientWidth || !this.picture.naturalWidth) return;
    if (this.wasFit) this.fit();
    else this.#move(this.view);
  }

  #onWheel(event) {
    event.preventDefault();
    const { x, y } = this.#at(event);
    this.zoomTo(this.view.scale * Math.exp(-event.deltaY / 400), x, y);
  }

  #onDown(event) {
    this.surface.setPointerCapture(event.pointerId);
    this.#fingers.set(event.pointerId, this.#at(event));
    this.#press = this.#fingers.size === 1 ? { ...this.#at(event), view: { ...this.view } } : null;
    this.#pinch = this.#fingers.size === 2 ? this.#span() : null;
  }

  #onDrag(event) {
    if (!this.#fingers.has(event.pointerId)) return;
    this.#fingers.set(event.pointerId, this.#at(event));
    if (this.#pinch) {
      const now = this.#span();
      this.pan(this.#pinch.x - now.x, this.#pinch.y - now.y);
      this.zoomTo((this.view.scale * now.distance) / this.#pinch.distance, now.x, now.y);
      this.#pinch = now;
    } else if (this.#press) {
      const { x, y } = this.#at(event);
      const { x: fromX, y: fromY, view } = this.#press;
      this.#move({ scale: this.view.scale, x: view.x + x - fromX, y: view.y + y - fromY });
    }
  }

  #onUp(event) {
    const at = this.#at(event);
    const tapped = this.#press && event.type === "pointerup" && near(this.#press, at);
    this.#fingers.delete(event.pointerId);
    this.#press = null;
    this.#pinch = null;
    if (tapped) this.#onTap(at, event.timeStamp);
  }

  #onTap({ x, y }, time) {
    const soon = time - this.#lastTap.time < DOUBLE_TAP_MS;
    const twice = soon && near(this.#lastTap, { x, y }, 30);
    this.#lastTap = { time: twice ? 0 : time, x, y };
    if (twice && this.isFit) this.zoomTo(Math.max(1, this.fitScale * 2), x, y);
    else if (twice) this.fit();
    else if (!this.isFit) {
      this.pan(x - this.surface.clientWidth / 2, y - this.surface.clientHeight / 2);
    }
  }

  #at(event) {
    const box = this.surface.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #span() {
    const [a, b] = [...this.#fingers.values()];
    const distance = Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, distance };
  }
}

function within(offset, space, size) {
  if (size <= space) return (space - size) / 2;
  return Math.min(0, Math.max(space - size, offset));
}

function near(a, b, slop = TAP_SLOP_PX) {
  return Math.hypot(a.x - b.x, a.y - b.y) < slop;
}
