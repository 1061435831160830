// A photoreal picture while it is painted: what its worker shows of it now and then. It is asked for
// as the order moves on, no more often than workers make one.

const APART_MS = 2000;

export class Previews {
  constructor() {
    this.nextAt = 0;
    this.seen = null;
  }

  /** Whether there may be another one: the order has moved on, and some time has passed. */
  due(order, progress) {
    const step = `${order.id} ${progress}`;
    if (step === this.seen || performance.now() < this.nextAt) return false;
    this.seen = step;
    this.nextAt = performance.now() + APART_MS;
    return true;
  }

  /** The newest one of this cut, ready to be shown; null where there is none. */
  async newest(order, cut) {
    try {
      const answer = await fetch(`${order.urls.self}/cuts/${encodeURIComponent(cut)}/preview`);
      return answer.status === 200 ? await decoded(await answer.blob()) : null;
    } catch {
      return null; // no network: the sketch stays what is shown
    }
  }
}

async function decoded(bytes) {
  const picture = new Image();
  picture.className = "suit-picture suit-preview";
  picture.alt = "";
  picture.src = URL.createObjectURL(bytes);
  try {
    await picture.decode();
    return picture;
  } finally {
    URL.revokeObjectURL(picture.src); // what is decoded stays
  }
}
