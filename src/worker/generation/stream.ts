/** One line of a generation's history, as a subscriber gets it. */
export interface StreamEvent {
  id: number;
  type: string;
  data: unknown;
}

const encoder = new TextEncoder();
/** Proxies close silent connections; the HTML standard's advice is a comment every 15 s. */
export const KEEPALIVE_MS = 15_000;

/** Server-sent events, as the HTML standard writes them (section 9.2.5). JSON has no line ends to escape. */
export function frame({ id, type, data }: StreamEvent): Uint8Array {
  return encoder.encode(`id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
}

const COMMENT = encoder.encode(": keep-alive\n\n");

/** One open event stream. */
export class Subscriber {
  readonly body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;

  /** @param left called once, when the client goes away or the stream is ended */
  constructor(left: (subscriber: Subscriber) => void) {
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        this.#timer = setInterval(() => this.#write(COMMENT), KEEPALIVE_MS);
      },
      cancel: () => {
        this.#stop();
        left(this);
      },
    });
  }

  send(event: StreamEvent): void {
    this.#write(frame(event));
  }

  end(): void {
    this.#controller?.close();
    this.#stop();
  }

  #stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#controller = null;
  }

  #write(chunk: Uint8Array): void {
    this.#controller?.enqueue(chunk);
  }
}

export const EVENT_STREAM = { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store" };
